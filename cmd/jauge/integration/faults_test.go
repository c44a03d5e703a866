//go:build integration

package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownInflux is an InfluxDB of the test's own, which it may kill.
type ownInflux struct {
	influxBucket
	dir  string
	port int
}

func startInflux(t *testing.T) *ownInflux {
	t.Helper()
	needEnv(t, "JAUGE_INFLUX_URL") // whoever has no test bed shall read how to make one
	dir, err := os.MkdirTemp("", "jauge-influx-")
	if err != nil {
		t.Fatal(err)
	}
	i := &ownInflux{dir: dir, port: freePort(t)}
	i.influxBucket = influxBucket{url: fmt.Sprintf("http://127.0.0.1:%d", i.port), token: "jauge-test-token", org: "jauge", bucket: "jauge"}
	t.Cleanup(func() { i.script(t, "down.sh", "SIGNAL=KILL"); removeAll(t, dir) })
	i.up(t)
	return i
}

func (i *ownInflux) up(t *testing.T)   { t.Helper(); i.script(t, "up.sh") }
func (i *ownInflux) kill(t *testing.T) { t.Helper(); i.script(t, "down.sh", "SIGNAL=KILL") }

// script runs a script of the test bed; its output goes to a file, since the server keeps it open.
func (i *ownInflux) script(t *testing.T, name string, env ...string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", ".ci", "testbed", "influxdb", name))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.CreateTemp(i.dir, name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("bash", path, i.dir)
	cmd.Env = append(os.Environ(), append(env, fmt.Sprintf("INFLUX_PORT=%d", i.port))...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", name, err, said)
	}
}

// TestInfluxOutage kills InfluxDB for a minute in the middle of a run: every record arrives, none twice.
func TestInfluxOutage(t *testing.T) {
	wholeDay(t, 10*time.Minute)
	v := raise(t, 30, 20)
	v.live(300)
	l := v.ledger()
	db := startInflux(t)
	j := install(t, v.config("1m"), append(db.env(), "JAUGE_BLUESKY_BASE_URL="+v.url)...)
	j.must("collect", "--once")
	l.read(v)

	d := j.start()
	d.ready()
	readings := func(n int64, what string) {
		t.Helper()
		before := v.calls("getAuthorFeed")
		d.poll(2*time.Minute, what, func() (bool, string) {
			v.live(1)
			now := v.calls("getAuthorFeed")
			return now >= before+n, fmt.Sprintf("%d listings of %d", now-before, n)
		})
	}
	readings(10, "readings before the outage")
	db.kill(t)
	killed := time.Now()
	d.poll(2*time.Minute, "a minute of outage", func() (bool, string) {
		v.live(1)
		return time.Since(killed) >= time.Minute, "not yet"
	})
	if status, body := d.get("/readyz"); status == http.StatusOK || !strings.Contains(body, "store") {
		t.Errorf("/readyz with InfluxDB away: %d %s, want another status than 200 that names the store", status, body)
	}
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz with InfluxDB away: %d, want 200: restarting the daemon would not help", status)
	}
	if n, _ := d.pending(); n < 15 {
		t.Errorf("the journal holds %v messages after a minute of outage, want what was read meanwhile", n)
	}
	db.up(t)
	d.ready()
	readings(10, "readings after the outage")
	v.down.Store(true)
	d.drained()
	if n, ok := d.metric("jauge_pipeline_rejects_total", ""); !ok || n != 0 {
		t.Errorf("jauge_pipeline_rejects_total is %v (%v), want 0", n, ok)
	}
	d.stop()

	v.down.Store(false)
	j.must("collect", "--once")
	l.read(v)
	l.check(t, db)
	l.checkKPIs(t, j)
	everyReading(t, v, db)
}

// everyReading compares the number of readings in the store with what the platform gave: every profile is one account
// row, every post in an answer one row of the history.
func everyReading(t *testing.T, v *appview, store reader) {
	t.Helper()
	d := dumpOf(t, store) // a row that is there twice fails here
	if got, want := len(d["social_account"]), int(v.calls("getProfiles")); got != want {
		t.Errorf("social_account has %d rows; the platform gave %d profiles", got, want)
	}
	if got, want := len(d["social_post_history"]), int(v.calls("posts")); got != want {
		t.Errorf("social_post_history has %d rows; the platform's answers held %d posts", got, want)
	}
	if !t.Failed() {
		return
	}
	for _, did := range v.dids { // which account, and when, for whoever has to find out why
		t.Logf("%s: answered %d profiles and %d listed posts; stored profiles at %v, readings of posts at %v",
			did, v.calls("profile of "+did), v.calls("posts of "+did), times(d["social_account"], did), times(d["social_post_history"], did))
	}
}

// times counts an account's rows by their instant.
func times(rows map[string]row, account string) map[string]int {
	n := map[string]int{}
	for _, r := range rows {
		if r["account"] == account {
			n[fmt.Sprint(r["time"])]++
		}
	}
	return n
}

// TestJournalDiskFull lets the disk below the data directory run full: collectors pause, health says why, nothing that
// was acknowledged is lost, and when there is space again it goes on by itself.
func TestJournalDiskFull(t *testing.T) {
	wholeDay(t, 10*time.Minute)
	if os.Getuid() != 0 {
		t.Fatal("this test mounts a small file system for the data directory: run it as root")
	}
	v := raise(t, 30, 20)
	v.live(300)
	l := v.ledger()
	db := influxEnv(t)
	j := install(t, v.config("1m"), append(db.env(), "JAUGE_BLUESKY_BASE_URL="+v.url)...)
	if err := os.Mkdir(j.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", j.data, "tmpfs", 0, "size=48m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(j.data, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	j.must("collect", "--once")
	l.read(v)
	d := j.start()
	d.ready()
	listings := func(n int64, what string) {
		t.Helper()
		before := v.calls("getAuthorFeed")
		d.poll(time.Minute, what, func() (bool, string) {
			v.live(1)
			now := v.calls("getAuthorFeed")
			return now >= before+n, fmt.Sprintf("%d listings of %d", now-before, n)
		})
	}
	listings(10, "readings before the disk is full")

	filler := filepath.Join(j.data, "filler")
	fillUp(t, filler)
	d.poll(2*time.Minute, "/readyz to say that the journal takes nothing", func() (bool, string) {
		fillUp(t, filler) // a file that was removed meanwhile made space again
		v.live(1)
		status, body := d.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "journal"), fmt.Sprintf("/readyz: %d %s", status, body)
	})
	_, why := d.get("/readyz")
	t.Logf("/readyz with a full disk: %s", why)
	paused := v.calls("getAuthorFeed")
	steady := time.Now()
	d.poll(2*time.Minute, "the collectors to pause", func() (bool, string) {
		if n := v.calls("getAuthorFeed"); n != paused {
			paused, steady = n, time.Now()
		}
		return time.Since(steady) > 15*time.Second, // 30 accounts a minute: otherwise one every other second
			fmt.Sprintf("%d listings, the last %s ago", paused, time.Since(steady))
	})

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.ready()
	listings(10, "readings after there is space again")
	v.down.Store(true)
	d.drained()
	d.stop()

	v.down.Store(false)
	j.must("collect", "--once")
	l.read(v)
	l.check(t, db)
	l.checkKPIs(t, j)
}

// fillUp writes until the disk takes no byte more.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
