package storagetest_test

import (
	"testing"

	"jauge.dev/jauge/storage/storagetest"
)

func TestMemSealed(t *testing.T) {
	storagetest.RunSealed(t, func(*testing.T) func() storagetest.SealedStore {
		m := storagetest.NewMemSealed()
		return func() storagetest.SealedStore { return m }
	})
}
