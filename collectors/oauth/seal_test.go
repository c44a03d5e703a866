package oauth_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

func ring(t testing.TB, keys ...string) oauth.Ring {
	t.Helper()
	r, err := oauth.ParseKeys(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKeysAreReadAsTheyAreWritten: what a key file holds, comments and all, is good for JAUGE_VAULT_KEY too.
func TestKeysAreReadAsTheyAreWritten(t *testing.T) {
	one, two := oauth.NewKey(), oauth.NewKey()
	want := ring(t, one, two)
	for _, text := range []string{one + "," + two, one + "\n" + two + "\n", "# keep a copy, elsewhere\n" + one + " # new\n\n" + two, " " + one + " , " + two + ","} {
		if got, err := oauth.ParseKeys(text); err != nil || got.IDs() != want.IDs() {
			t.Errorf("another ring, or %v", err)
		}
	}
}

func TestSealedRecordOpensOnlyAsItWas(t *testing.T) {
	r := ring(t, testKey)
	plain := []byte(`{"access":"tok-secret"}`)
	sealed := r.Seal("grant/1", plain)
	if bytes.Contains(sealed, []byte("tok-")) {
		t.Fatal("it is not encrypted")
	}
	if got, err := r.Open("grant/1", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open: %q, %v", got, err)
	}
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if _, err := r.Open("grant/1", bad); err == nil {
				t.Errorf("bit %d of byte %d is not authenticated", bit, i)
			}
		}
	}
	for i := range sealed {
		if _, err := r.Open("grant/1", sealed[:i]); err == nil {
			t.Errorf("the first %d bytes open", i)
		}
	}
	if _, err := r.Open("grant/2", sealed); err == nil {
		t.Error("it opens in another grant's place")
	}
	if _, err := ring(t, oauth.NewKey()).Open("grant/1", sealed); err == nil || !strings.Contains(err.Error(), r.ID()) {
		t.Errorf("another key: %v", err)
	}
	if got, err := ring(t, oauth.NewKey(), testKey).Open("grant/1", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("a ring with the key: %q, %v", got, err)
	}
	if bytes.Equal(sealed, r.Seal("grant/1", plain)) {
		t.Error("two records have the same nonce")
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for _, bad := range []string{"", ",", "x", "c2hvcnQ=", testKey + "x", "# " + testKey} {
		if _, err := oauth.ParseKeys(bad); err == nil {
			t.Errorf("%q is taken", bad)
		} else if strings.Contains(err.Error(), "c2hvcnQ") || strings.Contains(err.Error(), testKey) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	r := ring(t, testKey, " "+strings.TrimRight(testKey, "=")+" ", oauth.NewKey())
	if len(r) != 2 {
		t.Errorf("%d keys, want 2", len(r))
	}
}

// withKey gives a vault another key.
func withKey(keys ...string) option {
	return func(_ *rig, c *oauth.Config, _ *oauth.Deps) { c.Key = jauge.Secret(strings.Join(keys, ",")) }
}

// withFile gives a vault a key file.
func withFile(path string) option {
	return func(_ *rig, c *oauth.Config, d *oauth.Deps) { c.Key, d.KeyFile = "", path }
}

func TestWrongKeyIsToldAndChangesNothing(t *testing.T) {
	for _, grants := range []int{0, 1} { // the canary shows it also where there is none
		s, a := newStore(), newAuthority()
		r := newRig(t, s, a)
		if grants > 0 {
			r.connect("ann")
		}
		r.v.Close()
		before := map[string]string{}
		for _, k := range s.keys("") {
			before[k] = string(s.value(k))
		}
		wrong := oauth.NewKey()
		err := makeRig(t, s, a, withKey(wrong)).v.Open(t.Context())
		e, ok := errors.AsType[*jauge.Error](err)
		if !ok || e.Hint == "" || !strings.Contains(err.Error(), ring(t, testKey).ID()) || !strings.Contains(err.Error(), ring(t, wrong).ID()) {
			t.Errorf("open with another key: %v", err)
		}
		for k, v := range before {
			if string(s.value(k)) != v {
				t.Errorf("%s was changed", k)
			}
		}
		if err := makeRig(t, s, a, withKey(wrong, testKey)).v.Open(t.Context()); err != nil {
			t.Errorf("open with both: %v", err)
		}
	}
}

func TestNoKeyAtAll(t *testing.T) {
	err := makeRig(t, newStore(), newAuthority(), withKey("")).v.Open(t.Context())
	if e, ok := errors.AsType[*jauge.Error](err); !ok || !strings.Contains(e.Hint, "JAUGE_VAULT_KEY") {
		t.Errorf("open: %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	s, a := newStore(), newAuthority()
	r := newRig(t, s, a, withFile(path))
	r.connect("ann")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v", info, err)
	}
	if log := r.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "Back this file up") {
		t.Errorf("nobody is told: %s", log)
	}
	r.v.Close()
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if again := newRig(t, s, a, withFile(path)); strings.Contains(again.log.String(), "Back this file up") {
		t.Error("a second key was made")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	lax := newRig(t, s, a, withFile(path))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(lax.log.String(), "could be read by others") {
		t.Errorf("a key file for others to read, as a copy may have it: %v, %v; %s", info, err, lax.log)
	}
	lax.v.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := makeRig(t, s, a, withFile(path)).v.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "restore the file") {
		t.Errorf("a lost key file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("another key was made over sealed grants")
	}
}

// all opens everything that the store holds by the keys of a file.
func allOpen(t *testing.T, s *memStore, path string) (keys int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := oauth.ParseKeys(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range s.keys("") {
		if _, err := r.Open(k, s.value(k)); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	return len(r)
}

// Rotation is cut off after each of its writes: everything opens at any moment, and the next rotation ends it.
func TestRotationThatIsCutOff(t *testing.T) {
	for cut := range 12 {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vault.key")
			s, a := newStore(), newAuthority()
			r := newRig(t, s, a, withFile(path))
			for _, login := range []string{"ann", "bob", "eve"} {
				r.connect(login)
			}
			old := r.v.Keys().ID()
			r.store.mu.Lock()
			r.store.writes = cut
			r.store.mu.Unlock()
			_, err := r.v.Rotate(t.Context())
			dead := r.store.isDead()
			if dead != (err != nil) {
				t.Errorf("cut %d: dead %v, %v", cut, dead, err)
			}
			allOpen(t, s, path)
			r.v.Close()
			time.Sleep(3 * time.Minute)
			again := newRig(t, s, a, withFile(path))
			if _, err := again.v.Rotate(t.Context()); err != nil {
				t.Errorf("cut %d: again: %v", cut, err)
			}
			if n := allOpen(t, s, path); n != 1 || again.v.Keys().ID() == old {
				t.Errorf("cut %d: %d keys are left", cut, n)
			}
			if status, err := again.get("p1"); status != 200 || err != nil {
				t.Errorf("get = %d, %v", status, err)
			}
			noSecrets(t, "the log", r.log.String()+again.log.String())
		})
	}
}

// A command rotates the key file while the daemon runs: the daemon goes on with the new key, and seals nothing by the old.
func TestRotationBesideARunningDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "vault.key")
		s, a := newStore(), newAuthority()
		daemon := newRig(t, s, a, withFile(path))
		daemon.connect("ann")
		daemon.run()
		for range 3 {
			command := newRig(t, s, a, withFile(path))
			if n, err := command.v.Rotate(t.Context()); err != nil || n < 3 {
				t.Fatalf("rotate: %d, %v", n, err)
			}
			command.v.Close()
			time.Sleep(2 * time.Hour)
			if status, err := daemon.get("p1"); status != 200 || err != nil {
				t.Errorf("get = %d, %v", status, err)
			}
			daemon.begin("b")
			if n := allOpen(t, s, path); n != 1 {
				t.Errorf("%d keys", n)
			}
		}
		if a.renewed == 0 || a.reused != 0 {
			t.Errorf("renewed %d, reused %d", a.renewed, a.reused)
		}
	})
}

func TestRotationOfGivenKeys(t *testing.T) {
	s, a := newStore(), newAuthority()
	r := newRig(t, s, a)
	r.connect("ann")
	r.v.Close()
	fresh := oauth.NewKey()
	r = newRig(t, s, a, withKey(fresh, testKey))
	n, err := r.v.Rotate(t.Context())
	if err != nil || n < 3 {
		t.Errorf("rotate: %d, %v", n, err)
	}
	for _, k := range s.keys("") {
		if by := oauth.SealedBy(s.value(k)); by != ring(t, fresh).ID() {
			t.Errorf("%s is sealed by %s", k, by)
		}
	}
	r.v.Close()
	r = newRig(t, s, a, withKey(fresh))
	if status, err := r.get("p1"); status != 200 || err != nil {
		t.Errorf("get = %d, %v", status, err)
	}
}

// A record that was tampered with, swapped or written by a newer version is left alone, and hurts no other.
func TestRecordsThatCannotBeRead(t *testing.T) {
	s, a := newStore(), newAuthority()
	r := newRig(t, s, a)
	ann, bob := r.connect("ann"), r.connect("bob")
	r.v.Close()
	s.mu.Lock()
	one := s.recs["grant/"+ann.ID]
	bad := bytes.Clone(one.Value)
	bad[len(bad)-1] ^= 1
	s.recs["grant/"+ann.ID] = jauge.Sealed{Key: one.Key, Value: bad, Rev: one.Rev}
	s.mu.Unlock()
	r = newRig(t, s, a)
	all, err := r.v.Grants(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != bob.ID {
		t.Errorf("grants: %v, %v", all, err)
	}
	if !bytes.Equal(s.value("grant/"+ann.ID), bad) {
		t.Error("it was overwritten")
	}
	if n := strings.Count(r.log.String(), "cannot be read"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if err := r.v.Test(t.Context(), ann.ID); err == nil {
		t.Error("it can be used")
	}
}

func TestRecordsOfNewerVersionsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"newer version": `{"v":2,"id":"x"}`, "unknown field": `{"v":1,"id":"x","shiny":1}`, "no version": `{"id":"x"}`,
		"more behind": `{"v":1,"id":"x"}{}`, "no JSON": `x`, "nothing": ``,
	} {
		if _, err := oauth.DecodeGrant([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := oauth.DecodeGrant([]byte(`{"v":1,"id":"x"}`)); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, testKey)
	f.Add("grant/1", r.Seal("grant/1", []byte("plain")))
	f.Add("", []byte{1})
	f.Add("grant/1", []byte{})
	f.Fuzz(func(t *testing.T, key string, sealed []byte) {
		plain, err := r.Open(key, sealed)
		if err == nil && (key != "grant/1" || string(plain) != "plain") {
			t.Errorf("%q opens as %q", key, plain)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"v":1,"stamp":"s","id":"01","provider":"plume","holder":{"ID":"a"},"state":"ok","since":"2026-11-22T00:00:00Z",` +
		`"connected":"2026-11-22T00:00:00Z","made":"2026-11-22T00:00:00Z","token":{"access":"a","issued":"2026-11-22T00:00:00Z"},"server":{}}`))
	f.Add([]byte(`{"v":1,"stamp":"s","provider":"plume","redirect":"r","browser":"b","verifier":"v","server":{},"until":"2026-11-22T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := oauth.DecodeGrant(b); err == nil {
			again(t, g, func(b []byte) error { _, err := oauth.DecodeGrant(b); return err })
		}
		if s, err := oauth.DecodeState(b); err == nil {
			again(t, s, func(b []byte) error { _, err := oauth.DecodeState(b); return err })
		}
	})
}

// again checks that what was read can be written and read once more.
func again(t *testing.T, r any, read func([]byte) error) {
	t.Helper()
	b, err := oauth.Encode(r)
	if err != nil {
		return // a year beyond 9999, which we never write
	}
	if err := read(b); err != nil {
		t.Errorf("%s: %v", b, err)
	}
}
