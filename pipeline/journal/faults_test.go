package journal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
	"jauge.dev/jauge/pipeline/journal/journaltest"
)

// filled leaves a journal with n pages in a folder, closed in order.
func filled(t *testing.T, dir string, n int) {
	t.Helper()
	j := open(t, small(dir))
	appendPages(t, j, n)
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func appendPages(t testing.TB, j *journal.Journal, n int) {
	t.Helper()
	for i := range n {
		if err := j.Append(t.Context(), journaltest.Page("a", i)); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
}

func streamDir(dir, stream string) string {
	return filepath.Join(dir, "store", "jetstream", "$G", "streams", stream)
}

func TestBrokenStoreIsPutAside(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string) error
	}{
		{"a stream's description is garbled", func(dir string) error {
			return os.WriteFile(filepath.Join(streamDir(dir, "JAUGE_WORK"), "meta.inf"), []byte("{garbage"), 0o600)
		}},
		{"a stream's folder is gone", func(dir string) error { return os.RemoveAll(streamDir(dir, "JAUGE_DEAD")) }},
		{"everything but our mark is gone", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "store", "jetstream")) }},
		{"the server's folder is a file", func(dir string) error {
			p := filepath.Join(dir, "store", "jetstream")
			return errors.Join(os.RemoveAll(p), os.WriteFile(p, []byte("x"), 0o600))
		}},
		{"mark and a description are garbled", func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "store", "journal.json"), []byte("x"), 0o600),
				os.WriteFile(filepath.Join(streamDir(dir, "JAUGE_ARCHIVE"), "meta.sum"), []byte("x"), 0o600))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			filled(t, dir, 3)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			j := open(t, small(dir))
			aside := j.PutAside()
			if !strings.HasPrefix(aside, filepath.Join(dir, "store.aside-")) {
				t.Fatalf("put aside in %q", aside)
			}
			if _, err := os.Stat(filepath.Join(aside, "journal.json")); err != nil {
				t.Errorf("what was put aside is not there: %v", err)
			}
			if err := j.Health(); err == nil || !strings.Contains(err.Error(), aside) {
				t.Errorf("health does not say where the old journal is: %v", err)
			}
			appendPages(t, j, 2)
			if msgs := next(t, j, 10); len(msgs) == 0 {
				t.Error("the new journal gives nothing")
			}
			if err := j.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			j = open(t, small(dir))
			if p := j.PutAside(); p != "" || j.Health() != nil {
				t.Errorf("the new journal was put aside too: %q, %v", p, j.Health())
			}
		})
	}
}

func TestDamagedMessagesAreToldOf(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 10)
	blocks, err := filepath.Glob(filepath.Join(streamDir(dir, "JAUGE_WORK"), "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("blocks %v, %v", blocks, err)
	}
	b, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b)/2+20; i++ {
		b[i] ^= 0xff
	}
	index := filepath.Join(streamDir(dir, "JAUGE_WORK"), "msgs", "index.db")
	if err := errors.Join(os.WriteFile(blocks[0], b, 0o600), os.Remove(index)); err != nil {
		t.Fatal(err)
	}
	j := open(t, small(dir))
	if p := j.PutAside(); p != "" {
		t.Errorf("a journal that can be read in part was put aside in %s", p)
	}
	if err := j.Health(); err == nil || !strings.Contains(err.Error(), "JAUGE_WORK") {
		t.Errorf("health says nothing of the lost messages: %v", err)
	}
	if n, _, err := j.Pending(t.Context()); err != nil || n == 0 || n >= 10 {
		t.Errorf("%d messages are left (%v)", n, err)
	}
}

func TestOneProcessOwnsTheFolder(t *testing.T) {
	dir := t.TempDir()
	first := open(t, small(dir))
	second, err := journal.New(small(dir), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opening a folder twice gave %v", err)
	}
	if err := second.Close(t.Context()); err != nil {
		t.Errorf("close after an open that failed: %v", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Errorf("second close: %v", err)
	}
	open(t, small(dir))
}

func TestClosedJournalSaysSo(t *testing.T) {
	j, err := journal.New(small(t.TempDir()), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, _, perr := j.Pending(ctx)
	_, rerr := j.Replay(ctx, journal.Range{}, nil)
	for what, err := range map[string]error{
		"append": j.Append(ctx, journaltest.Page("a", 0)), "pending": perr, "replay": rerr, "health": j.Health(),
		"bury": j.Bury(ctx, []pipeline.Letter{{}}),
	} {
		if !errors.Is(err, journal.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := j.Next(ended, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v", err)
	}
}

func TestUndecodableMessagesCarryTheirAccount(t *testing.T) {
	j := open(t, small(t.TempDir()))
	if err := j.PublishRaw(t.Context(), "mastodon.1_40x", "run_2e7.12.mastodon.1_40x.0", []byte{7, 7}); err != nil {
		t.Fatal(err)
	}
	msgs := next(t, j, 1)
	m := msgs[0]
	if m.Err == nil || m.Page.Platform != jauge.Mastodon || m.Page.Account != "1@x" || string(m.Raw) != "\x07\x07" ||
		m.Page.Run != "run.7" || m.Page.Seq != 12 {
		t.Errorf("message: %+v", m)
	}
	if err := j.Settle(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	if n, err := j.Replay(t.Context(), journal.Range{}, nil); n != 0 || err != nil {
		t.Errorf("%d replayed, %v", n, err)
	}
}

// TestCrashBetweenArchiveAndAck settles what the archive has in part already.
func TestCrashBetweenArchiveAndAck(t *testing.T) {
	for _, batches := range []bool{true, false} {
		dir := t.TempDir()
		j := open(t, small(dir))
		appendPages(t, j, 10)
		msgs := take(t, j, 10)
		if err := j.ArchiveOnly(t.Context(), msgs[2:7]); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		j = open(t, small(dir))
		if !batches {
			j.NoBatches()
		}
		msgs = take(t, j, 10)
		if err := j.Settle(t.Context(), msgs); err != nil {
			t.Fatal(err)
		}
		if n, err := j.Archived(t.Context()); err != nil || n != 10 {
			t.Errorf("batches %t: the archive holds %d messages (%v), want 10", batches, n, err)
		}
	}
}

func take(t *testing.T, j *journal.Journal, n int) []pipeline.Message {
	t.Helper()
	var out []pipeline.Message
	for len(out) < n {
		out = append(out, next(t, j, n-len(out))...)
	}
	return out
}

// TestReopenKeepsWhatIsHeld reopens the server under messages that the pipeline holds.
func TestReopenKeepsWhatIsHeld(t *testing.T) {
	j := open(t, small(t.TempDir()))
	appendPages(t, j, 30)
	held := take(t, j, 20)
	if err := j.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	// At once, before the new server has delivered again; then what it has delivered meanwhile.
	if err := j.Settle(t.Context(), held[:10]); err != nil {
		t.Fatalf("settle after reopening: %v", err)
	}
	rest := take(t, j, 10)
	if rest[0].Page.Seq != 20 || rest[9].Page.Seq != 29 {
		t.Errorf("pages %d to %d came, want 20 to 29", rest[0].Page.Seq, rest[9].Page.Seq)
	}
	if err := j.Settle(t.Context(), slices.Concat(held, rest)); err != nil {
		t.Fatalf("settle: %v", err)
	}
	if n, _, err := j.Pending(t.Context()); n != 0 || err != nil {
		t.Errorf("%d pending (%v)", n, err)
	}
	if n, err := j.Archived(t.Context()); n != 30 || err != nil {
		t.Errorf("%d archived (%v), want 30", n, err)
	}
}

// TestSickServerIsReopened switches the server's store off under load.
func TestSickServerIsReopened(t *testing.T) {
	j := open(t, small(t.TempDir()))
	const accounts, each = 4, 40
	var wg sync.WaitGroup
	for a := range accounts {
		wg.Go(func() {
			for i := range each {
				if a == 0 && (i == 10 || i == 25) {
					if err := j.Sicken(); err != nil {
						t.Errorf("sicken: %v", err)
					}
				}
				if err := j.Append(t.Context(), journaltest.Page("acc"+string(rune('a'+a)), i)); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	seen := make(map[string]bool)
	for len(seen) < accounts*each {
		msgs := next(t, j, 50)
		for _, m := range msgs {
			seen[m.Page.Account+" "+m.Page.Observations[0].ID] = true
		}
		eventually(t, "settle", func() bool { return j.Settle(t.Context(), msgs) == nil })
	}
	wg.Wait()
	eventually(t, "health", func() bool { return j.Health() == nil })
}

func TestConfigNamesEveryMistake(t *testing.T) {
	err := journal.Config{
		URL: "http://user:hunter2@host:1", MaxBytes: 1, ArchiveMaxBytes: -1, DeadMaxBytes: 5, ArchiveMaxAge: 1,
		Timeout: 1, AckWait: 1, MinFree: -1, Prefetch: 1, Replicas: 9,
	}.Validate()
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{
		"URL", "journal max bytes", "archive max bytes", "dead max bytes", "archive max age", "timeout", "ack wait", "min free", "prefetch", "replicas",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is said of %s in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the password is told")
	}
	if err := (journal.Config{}).Validate(); err == nil {
		t.Error("neither folder nor URL was taken")
	}
	if err := (journal.Config{Dir: "x"}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if err := (journal.Config{URL: "nats://a:b@h:1, tls://h2:2"}).Validate(); err != nil {
		t.Errorf("two addresses: %v", err)
	}
}

func TestUnreachableClusterKeepsItsSecret(t *testing.T) {
	var text logText
	j, err := journal.New(journal.Config{URL: "nats://user:hunter2@127.0.0.1:1"}, logger(&text), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = j.Open(t.Context())
	if err == nil {
		t.Fatal("it was opened")
	}
	if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Hint == "" || e.Reason != jauge.ReasonNetwork {
		t.Errorf("error: %v", err)
	}
	if strings.Contains(err.Error()+text.String(), "hunter2") {
		t.Errorf("the password is told: %v %s", err, text.String())
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	j, err := journal.New(small(t.TempDir()), nil, reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	appendPages(t, j, 3)
	appendPages(t, j, 1)
	if err := j.Bury(t.Context(), []pipeline.Letter{{Page: journaltest.Page("a", 0), Reason: "r"}}); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP jauge_dead_letters_total Letters that were buried.
# TYPE jauge_dead_letters_total counter
jauge_dead_letters_total 1
# HELP jauge_journal_appends_total Messages offered to the journal, by what became of them.
# TYPE jauge_journal_appends_total counter
jauge_journal_appends_total{outcome="disk_full"} 0
jauge_journal_appends_total{outcome="duplicate"} 1
jauge_journal_appends_total{outcome="failed"} 0
jauge_journal_appends_total{outcome="full"} 0
jauge_journal_appends_total{outcome="stored"} 3
# HELP jauge_journal_healthy 1 where the journal takes pages and has lost none, else 0.
# TYPE jauge_journal_healthy gauge
jauge_journal_healthy 1
# HELP jauge_journal_messages Messages in a stream of the journal.
# TYPE jauge_journal_messages gauge
jauge_journal_messages{stream="archive"} 0
jauge_journal_messages{stream="dead"} 1
jauge_journal_messages{stream="work"} 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "jauge_dead_letters_total", "jauge_journal_appends_total",
		"jauge_journal_healthy", "jauge_journal_messages"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := testutil.GatherAndCount(reg); n != 0 || err != nil {
		t.Errorf("%d series are left after close (%v)", n, err)
	}
}
