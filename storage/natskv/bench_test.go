package natskv_test

import "testing"

func BenchmarkSaveSealed(b *testing.B) {
	s := open(b, start(b, b.TempDir(), nil).ClientURL())
	value := make([]byte, 4<<10)
	var rev uint64
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if rev, err = s.SaveSealed(b.Context(), "grant/a", value, rev); err != nil {
			b.Fatal(err)
		}
	}
}
