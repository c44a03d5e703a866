//go:build integration

package integration_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// metric reads a series from /metrics: the sum of all lines that begin with the name and hold the label text.
func (d *daemon) metric(name, label string) (float64, bool) {
	status, body := d.get("/metrics")
	if status != http.StatusOK {
		return 0, false
	}
	sum, found := 0.0, false
	re := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(\{[^}]*\})? (\S+)$`)
	for _, m := range re.FindAllStringSubmatch(body, -1) {
		if label != "" && !regexp.MustCompile(label).MatchString(m[1]) {
			continue
		}
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			continue
		}
		sum, found = sum+v, true
	}
	return sum, found
}

// pending tells how many pages wait in the journal.
func (d *daemon) pending() (float64, bool) {
	return d.metric("jauge_journal_messages", `stream="work"`)
}

// drained waits until the journal holds nothing more to do.
func (d *daemon) drained() {
	d.t.Helper()
	d.poll(2*time.Minute, "the journal to be empty", func() (bool, string) {
		n, ok := d.pending()
		return ok && n == 0, fmt.Sprintf("%v messages (%v)", n, ok)
	})
}

// settled waits until the journal holds at least so many messages, and none has been added for a second.
func (d *daemon) settled(least float64) {
	d.t.Helper()
	last, since := -1.0, time.Now()
	d.poll(time.Minute, "the readings to be in the journal", func() (bool, string) {
		n, _ := d.pending()
		if n != last {
			last, since = n, time.Now()
		}
		return n >= least && time.Since(since) > time.Second, fmt.Sprintf("%v messages of at least %v", n, least)
	})
}

// nobody is an address at which nobody answers.
func nobody(t *testing.T) string { return fmt.Sprintf("http://127.0.0.1:%d", freePort(t)) }

// filled makes an installation whose journal is full of readings that no store has seen: everything is read several
// times beside a store that is down.
func filled(t *testing.T, accounts, posts, rounds int) *jauge {
	t.Helper()
	v := raise(t, accounts, posts)
	v.live(len(v.posts))
	j := install(t, v.config("24h"), "JAUGE_BLUESKY_BASE_URL="+v.url,
		"JAUGE_STORE=influx", "JAUGE_INFLUX_URL="+nobody(t), "JAUGE_INFLUX_TOKEN=none", "JAUGE_INFLUX_ORG=none", "JAUGE_INFLUX_BUCKET=none")
	d := j.start()
	d.settled(float64(accounts)) // the first round comes by itself
	for round := range rounds - 1 {
		v.live(posts * accounts / 4)
		if round%3 == 1 {
			v.withdraw()
		}
		before, _ := d.pending()
		c := j.begin("collect", "--once") // through the daemon; it waits for the store, which is away
		d.settled(before + float64(accounts))
		c.end()
	}
	d.stop()
	j.set("JAUGE_STORE=sqlite", "JAUGE_BLUESKY_BASE_URL="+nobody(t), "JAUGE_HTTP_ATTEMPTS=1")
	for _, name := range []string{"URL", "TOKEN", "ORG", "BUCKET"} {
		delete(j.env, "JAUGE_INFLUX_"+name)
	}
	return j
}

// drain runs the daemon until the journal is empty and returns what the store holds.
func (j *jauge) drain() dump {
	j.t.Helper()
	d := j.start()
	d.drained()
	d.stop()
	return dumpOf(j.t, j.sqlite())
}

// TestKilledWhileDraining kills the program at 50 random moments over a fixed, pre-filled journal: the store equals
// the undisturbed one, row by row.
func TestKilledWhileDraining(t *testing.T) {
	j := filled(t, 8, 60, 12)
	began := time.Now()
	want := j.clone().drain()
	whole := time.Since(began)
	rows := 0
	for _, m := range measurements() {
		rows += len(want[m])
	}
	t.Logf("the undisturbed drain took %s and left %d rows (%d readings of posts)", whole.Round(time.Millisecond), rows, len(want["social_post_history"]))
	if len(want["social_post_history"]) < 8*60*8 || len(want["social_kpi"]) == 0 {
		t.Fatalf("the journal held too little to show anything: %d readings of posts, %d KPIs", len(want["social_post_history"]), len(want["social_kpi"]))
	}
	random := rand.New(rand.NewPCG(50, 50))
	midway := 0
	for n := range 50 {
		c := j.clone()
		d := c.start()
		moment := time.Duration(random.Int64N(int64(whole)))
		select {
		case <-time.After(moment): // the random moment itself, nothing is waited for
		case <-d.done:
			t.Fatalf("the daemon ended by itself\n%s", d.tail())
		}
		if left, ok := d.pending(); ok && left > 0 {
			midway++
		}
		d.kill()
		if diff := cmp.Diff(want, c.drain()); diff != "" {
			t.Fatalf("kill %d after %s: the store differs from the undisturbed one (-undisturbed +killed):\n%s", n, moment, tail(diff, 6000))
		}
		removeAll(t, c.dir)
	}
	t.Logf("%d of 50 kills came while the journal held messages", midway)
	if midway < 5 {
		t.Errorf("only %d of 50 kills met a journal that was being drained", midway)
	}
}

// TestKilledWhileCollecting kills the program again and again while it collects from a platform that lives on: the
// newest counters, the day's totals and the KPIs are those of an undisturbed run.
func TestKilledWhileCollecting(t *testing.T) {
	wholeDay(t, 10*time.Minute)
	v := raise(t, 30, 20)
	v.live(300)
	l := v.ledger()
	j := install(t, v.config("1m"), "JAUGE_BLUESKY_BASE_URL="+v.url)
	j.must("collect", "--once")
	l.read(v)
	random := rand.New(rand.NewPCG(3, 3))
	for range 15 {
		d := j.start()
		v.live(60)
		before := v.calls("getAuthorFeed")
		d.poll(time.Minute, "another reading", func() (bool, string) {
			return v.calls("getAuthorFeed") > before, "no call came"
		})
		select {
		case <-time.After(time.Duration(random.IntN(1500)) * time.Millisecond): // the random moment itself
		case <-d.done:
			t.Fatalf("the daemon ended by itself\n%s", d.tail())
		}
		d.kill()
	}
	j.must("collect", "--once")
	l.read(v)
	l.check(t, j.sqlite())
	l.checkKPIs(t, j)
}
