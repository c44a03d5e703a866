package journaltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
)

func order(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	const n = 50
	var want []jauge.Page
	for i := range n {
		for _, a := range []string{"did:plc:a", "b@m.example", ""} {
			p := Page(a, i)
			want = append(want, p)
			mustAppend(t, j, p)
		}
	}
	if got := pending(t, j); got != len(want) {
		t.Errorf("%d pending, want %d", got, len(want))
	}
	msgs := take(t, j, len(want))
	for i, m := range msgs {
		if m.Err != nil {
			t.Fatalf("message %d: %v", i, m.Err)
		}
		if d := cmp.Diff(want[i], m.Page); d != "" {
			t.Fatalf("message %d differs (-want +got):\n%s", i, d)
		}
	}
	mustSettle(t, j, msgs)
	if got := pending(t, j); got != 0 {
		t.Errorf("%d pending after all were settled", got)
	}
}

func redelivery(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	for i := range 20 {
		mustAppend(t, j, Page("a", i))
	}
	msgs := take(t, j, 12)
	mustSettle(t, j, append(slices.Clone(msgs[:3]), msgs[5]))
	mustClose(t, j)

	j = d.Open(t, nil)
	mustAppend(t, j, Page("a", 20))
	if got := pending(t, j); got != 17 {
		t.Errorf("%d pending after reopening, want 17", got)
	}
	again := take(t, j, 17)
	want := []int{3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}
	if d := cmp.Diff(want, seqs(again)); d != "" {
		t.Errorf("order after reopening (-want +got):\n%s", d)
	}
	mustSettle(t, j, again)
	none(t, j, quiet)
}

func heldStays(t *testing.T, d Deployment) {
	j := d.Open(t, func(c *journal.Config) { c.AckWait = time.Second })
	for i := range 5 {
		mustAppend(t, j, Page("a", i))
	}
	msgs := take(t, j, 3)
	none2 := take(t, j, 2)
	none(t, j, 2500*time.Millisecond) // more than twice the AckWait
	mustSettle(t, j, msgs)
	mustSettle(t, j, none2)
	if got := pending(t, j); got != 0 {
		t.Errorf("%d pending after all were settled", got)
	}
}

func settleTwice(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	for i := range 4 {
		mustAppend(t, j, Page("a", i))
	}
	msgs := take(t, j, 4)
	mustSettle(t, j, msgs[:2])
	mustSettle(t, j, msgs)
	mustSettle(t, j, msgs)
	if got := pending(t, j); got != 0 {
		t.Errorf("%d pending after all were settled", got)
	}
	n, err := j.Replay(t.Context(), journal.Range{}, nil)
	if err != nil || n != 4 {
		t.Errorf("the archive replayed %d pages (%v), want 4", n, err)
	}
	if err := j.Settle(t.Context(), []pipeline.Message{{}}); err == nil {
		t.Error("a message of somebody else was settled")
	}
}

// archivedOnce settles, in two lives of the journal, a batch of which a part is in the archive already.
func archivedOnce(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	for i := range 6 {
		mustAppend(t, j, Page("a", i))
	}
	first := take(t, j, 6)
	mustSettle(t, j, first[:3])
	// The same pages again, as if the acknowledgement had been lost: same ids in the archive.
	mustClose(t, j)
	j = d.Open(t, nil)
	rest := take(t, j, 3)
	mustSettle(t, j, rest[1:])
	mustSettle(t, j, rest)
	n, err := j.Replay(t.Context(), journal.Range{}, nil)
	if err != nil || n != 6 {
		t.Errorf("the archive replayed %d pages (%v), want 6", n, err)
	}
}

func repeatedAppend(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	p := Page("a", 0)
	mustAppend(t, j, p, p, p)
	// The same values in another run, and for another account, are other messages.
	q, r := p, p
	q.Run, r.Account = "run2", "b"
	mustAppend(t, j, q, r)
	if got := pending(t, j); got != 3 {
		t.Errorf("%d pending, want 3", got)
	}
}

func bigPage(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	want := Page("a", 7)
	want.Complete = true
	noise := rand.New(rand.NewPCG(1, 1))
	for i := range 4000 {
		o := want.Observations[0]
		o.ID = fmt.Sprintf("post-%d", i)
		// One stretch is much heavier than the rest, so that even cuts do not fit.
		o.Post = &jauge.Post{Excerpt: text(noise, 100), Permalink: text(noise, 20+i/3000*1000)}
		want.Observations = append(want.Observations, o)
	}
	mustAppend(t, j, want)
	mustAppend(t, j, want) // is the same parts
	n := pending(t, j)
	if n < 2 {
		t.Fatalf("%d messages, want several", n)
	}
	got := take(t, j, n)
	joined := got[0].Page
	for i, m := range got {
		if m.Page.Part != i || m.Page.Complete != (i == n-1) {
			t.Errorf("part %d of %d: numbered %d, complete %t", i, n, m.Page.Part, m.Page.Complete)
		}
		if i > 0 {
			joined.Observations = append(joined.Observations, m.Page.Observations...)
		}
	}
	joined.Complete = true
	if d := cmp.Diff(want, joined); d != "" {
		t.Errorf("the joined page differs (-want +got):\n%.2000s", d)
	}

	huge := Page("a", 8)
	huge.Observations[0].MovedTo = text(noise, 2<<20)
	if err := j.Append(t.Context(), huge); jauge.ReasonOf(err) != jauge.ReasonBadRequest {
		t.Errorf("an observation too big for a message gave %v", err)
	}
}

func heavy(account string, seq int) jauge.Page {
	p := Page(account, seq)
	p.Observations[0].Post = &jauge.Post{Excerpt: text(rand.New(rand.NewPCG(1, uint64(seq))), 200_000)} //nolint:gosec // not negative
	return p
}

// text makes up letters that no compression makes much shorter: a byte of text holds six bits.
func text(rnd *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[rnd.IntN(64)]
	}
	return string(b)
}

func fullStream(t *testing.T, d Deployment) {
	j := d.Open(t, func(c *journal.Config) { c.MaxBytes = 4 << 20 })
	var err error
	n := 0
	for ; n < 100 && err == nil; n++ {
		err = j.Append(t.Context(), heavy("a", n))
	}
	if !errors.Is(err, journal.ErrFull) || errors.Is(err, journal.ErrDiskFull) || jauge.ReasonOf(err) != jauge.ReasonQuota {
		t.Fatalf("after %d pages: %v", n, err)
	}
	if h := j.Health(); !errors.Is(h, journal.ErrFull) {
		t.Errorf("health of a full journal: %v", h)
	}
	msgs := take(t, j, n-1)
	mustSettle(t, j, msgs[:10])
	mustAppend(t, j, heavy("a", n-1)) // the page that was refused
	if h := j.Health(); h != nil {
		t.Errorf("health after room was made: %v", h)
	}
	if got := pending(t, j); got != n-10 {
		t.Errorf("%d pending, want %d", got, n-10)
	}
}

func concurrent(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	const accounts, each = 8, 25
	var wg sync.WaitGroup
	for a := range accounts {
		wg.Go(func() {
			for i := range each {
				if err := j.Append(t.Context(), Page(fmt.Sprint("acc", a), i)); err != nil {
					t.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	next := make(map[string]int)
	for range accounts * each {
		m := take(t, j, 1)
		p := m[0].Page
		if p.Seq != next[p.Account] {
			t.Errorf("page %d of %s came where %d was due", p.Seq, p.Account, next[p.Account])
		}
		next[p.Account]++
		mustSettle(t, j, m)
	}
	wg.Wait()
	if got := pending(t, j); got != 0 {
		t.Errorf("%d pending after all were settled", got)
	}
}
