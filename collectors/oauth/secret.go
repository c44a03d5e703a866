package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"jauge.dev/jauge"
)

const (
	secretPrefix = "secret/"
	secretBytes  = 32
)

// Secret gives 32 random bytes that are the same for everybody who shares the store, and makes them at the first call:
// for what the daemon seals outside of the vault, such as the cookies of its pages. Each use has a name of its own.
func (v *Vault) Secret(ctx context.Context, name string) ([]byte, error) {
	key := secretPrefix + name
	for range 3 {
		plain, _, err := v.load(ctx, key)
		if !errors.Is(err, errNotThere) {
			return plain, err
		}
		fresh := make([]byte, secretBytes)
		_, _ = rand.Read(fresh) // never fails: crypto/rand ends the program instead
		if _, err = v.save(ctx, key, fresh, 0); err == nil {
			return fresh, nil
		}
		if !errors.Is(err, jauge.ErrStale) { // another one made it at the same moment
			return nil, err
		}
	}
	return nil, fmt.Errorf("make secret %s: it changes again and again", name)
}
