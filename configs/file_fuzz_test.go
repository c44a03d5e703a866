package configs_test

import (
	"os"
	"path/filepath"
	"testing"

	"jauge.dev/jauge/configs"
)

// FuzzReadFile: whatever the file holds, reading it ends, and every mistake has a line.
func FuzzReadFile(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/jauge.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range append(paths, "example.yaml") {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? [x]\n: y\nbrands: !!binary aGk="))
	f.Add([]byte("schedules: {bluesky: {refresh: \"TZ=\"}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, ms := configs.ReadFile("jauge.yaml", b, platforms(), nil)
		for _, m := range ms {
			if m.Line < 1 || m.Text == "" || m.File != "jauge.yaml" {
				t.Errorf("mistake without a place: %+v", m)
			}
		}
		for _, a := range file.Accounts() {
			if len(ms) == 0 && (a.Handle == "" || a.Brand == "" || a.Platform == "") {
				t.Errorf("half an account passed: %+v", a)
			}
		}
	})
}
