// Package journaltest holds what every deployment of the journal must do, as tests that run against any of them:
// against the server inside the process, against a cluster by URL. Only tests may import it.
package journaltest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
)

// Deployment is a place where journals live, empty at first.
type Deployment struct {
	// Open opens the journal of this place, changed by change where it is not nil. Opening again, after a Close, gives
	// what was left. The journal is closed when the test ends, if it has not been closed before.
	Open func(t testing.TB, change func(*journal.Config)) *journal.Journal
}

// Run runs the suite; every test asks for a place of its own.
func Run(t *testing.T, place func(t testing.TB) Deployment) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, d Deployment)
	}{
		{"an account's pages come in order", order},
		{"what was not settled comes again, first and in order", redelivery},
		{"held messages are not delivered again", heldStays},
		{"settling twice is settling once", settleTwice},
		{"a settled redelivery is archived once", archivedOnce},
		{"a repeated append is one message", repeatedAppend},
		{"a big page is cut and joined", bigPage},
		{"a full work stream refuses and recovers", fullStream},
		{"a range is replayed", replayRange},
		{"a letter is buried once", buriedOnce},
		{"full dead letters refuse and can be replayed", deadFull},
		{"dead letters are replayed in order", deadReplay},
		{"dead letters are discarded by name", deadDiscard},
		{"a letter that stays broken stays buried", stillBroken},
		{"concurrent appends are all kept", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, place(t))
		})
	}
}

var observedAt = time.Date(2026, 11, 22, 10, 20, 30, 0, time.UTC)

// Page makes a small page of an account: its sequence is its name.
func Page(account string, seq int) jauge.Page {
	return jauge.Page{
		Platform: jauge.Bluesky, Account: account, Handle: "h", Run: "run1", RunStart: observedAt, Seq: seq,
		ObservedAt: observedAt.Add(time.Duration(seq) * time.Minute),
		Observations: []jauge.Observation{{
			Object: jauge.ObjectPost, ID: fmt.Sprintf("post%d", seq), Period: jauge.PeriodLifetime,
			Values: []jauge.WireValue{{Wire: "likes", Value: float64(seq)}},
		}},
	}
}

func mustAppend(t testing.TB, j *journal.Journal, pages ...jauge.Page) {
	t.Helper()
	for _, p := range pages {
		if err := j.Append(t.Context(), p); err != nil {
			t.Fatalf("append %s %d: %v", p.Account, p.Seq, err)
		}
	}
}

// take reads exactly n messages.
func take(t testing.TB, j *journal.Journal, n int) []pipeline.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out []pipeline.Message
	for len(out) < n {
		got, err := j.Next(ctx, n-len(out))
		if err != nil {
			t.Fatalf("next after %d of %d messages: %v", len(out), n, err)
		}
		out = append(out, got...)
	}
	return out
}

const (
	patience = 30 * time.Second
	// quiet is how long a test waits for what should not come.
	quiet = 300 * time.Millisecond
)

// none fails if a message comes.
func none(t testing.TB, j *journal.Journal, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if got, err := j.Next(ctx, 10); err == nil {
		t.Errorf("%d messages came that should not, the first is page %d of %s", len(got), got[0].Page.Seq, got[0].Page.Account)
	}
}

func mustSettle(t testing.TB, j *journal.Journal, msgs []pipeline.Message) {
	t.Helper()
	if err := j.Settle(t.Context(), msgs); err != nil {
		t.Fatalf("settle: %v", err)
	}
}

func mustClose(t testing.TB, j *journal.Journal) {
	t.Helper()
	if err := j.Close(t.Context()); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func pending(t testing.TB, j *journal.Journal) int {
	t.Helper()
	n, oldest, err := j.Pending(t.Context())
	if err != nil {
		t.Fatalf("pending: %v", err)
	}
	if (n == 0) != oldest.IsZero() {
		t.Errorf("%d pending, the oldest from %v", n, oldest)
	}
	return n
}

func seqs(msgs []pipeline.Message) []int {
	out := make([]int, len(msgs))
	for i := range msgs {
		out[i] = msgs[i].Page.Seq
	}
	return out
}
