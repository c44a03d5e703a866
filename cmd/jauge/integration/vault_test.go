//go:build integration

package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVaultKeys: a key is made once, for its owner alone; a wrong one is refused at the start and changes nothing; a
// new one takes over by a ring of both; replicas on a cluster must be given one.
func TestVaultKeys(t *testing.T) {
	app := authorizationServer(t).client(native, object{"access_life": 600})
	j := install(t, connectOnly, app.x()...)
	j.connected(app, "x", "alder")
	made := filepath.Join(j.data, "vault.key")
	info, err := os.Stat(made)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key that was made: %v, %v; want mode 0600", info, err)
	}
	var first string
	for line := range strings.Lines(readFile(t, made)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			first = line
		}
	}

	second := strings.TrimSpace(j.must("vault", "key"))
	fails := func(what, key string) {
		t.Helper()
		j.set("JAUGE_VAULT_KEY=" + key)
		d := j.start()
		poll(t, stepLimit, "the daemon to refuse "+what, func() (bool, string) {
			select {
			case <-d.done:
				return true, ""
			default:
				return false, d.tail()
			}
		})
		if code := d.cmd.ProcessState.ExitCode(); code == 0 || !mentions(d.logged(), []string{"JAUGE_VAULT_KEY", "vault key"}) {
			t.Errorf("with %s the daemon ended with %d: %s", what, code, d.tail())
		}
		if r := j.run("connect", "x", "--all"); r.code == 0 {
			t.Errorf("with %s jauge connect: %s", what, r)
		}
		if strings.Contains(d.logged(), key) {
			t.Error("the log holds the key")
		}
	}
	works := func(what, key string) {
		t.Helper()
		j.set("JAUGE_VAULT_KEY=" + key)
		d := j.start()
		d.ready()
		if a := j.account("x", "alder"); a.State != "ok" {
			t.Errorf("with %s: %+v", what, a)
		}
		d.stop()
	}
	fails("a wrong key", second)
	works("the key that was made", first)
	works("both keys", second+","+first)
	j.must("vault", "rotate")
	works("the new key alone", second)
	fails("the old key alone", first)
	works("the new key again", second)

	shared := install(t, connectOnly, append(app.x(), "JAUGE_NATS_URL="+cluster(t))...)
	if r := shared.run("run"); r.code != 2 || !strings.Contains(r.stderr, "JAUGE_VAULT_KEY") {
		t.Errorf("on a cluster without a key: %s", r)
	}
	if _, err := os.Stat(filepath.Join(shared.data, "vault.key")); err == nil {
		t.Error("on a cluster a key was made")
	}
}
