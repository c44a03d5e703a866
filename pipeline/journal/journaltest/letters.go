package journaltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
)

func replayRange(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	for i := range 10 {
		m := Page("m@x", i)
		m.Platform = jauge.Mastodon
		mustAppend(t, j, Page("a", i), Page("b", i), m)
	}
	mustSettle(t, j, take(t, j, 30))

	for _, c := range []struct {
		name string
		r    journal.Range
		want []string
	}{
		{"an account's minutes", journal.Range{Platform: jauge.Bluesky, Account: "b", From: observedAt.Add(3 * time.Minute), To: observedAt.Add(5 * time.Minute)}, []string{"b3", "b4"}},
		{"a platform", journal.Range{Platform: jauge.Mastodon, From: observedAt.Add(8 * time.Minute)}, []string{"m@x8", "m@x9"}},
		{"everything early", journal.Range{To: observedAt.Add(time.Minute)}, []string{"a0", "b0", "m@x0"}},
		{"an unknown account", journal.Range{Platform: jauge.Bluesky, Account: "nobody"}, nil},
	} {
		var told int
		n, err := j.Replay(t.Context(), c.r, func(n int) { told = n })
		if err != nil || n != len(c.want) || told != n {
			t.Fatalf("%s: %d replayed, %d told (%v), want %d", c.name, n, told, err, len(c.want))
		}
		if n == 0 {
			continue
		}
		msgs := take(t, j, n)
		var got []string
		for _, m := range msgs {
			got = append(got, fmt.Sprint(m.Page.Account, m.Page.Seq))
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		mustSettle(t, j, msgs)
	}
	// What was replayed is not archived a second time, and a second replay is not taken for the first.
	n, err := j.Replay(t.Context(), journal.Range{}, nil)
	if err != nil || n != 30 {
		t.Errorf("%d replayed (%v), want 30", n, err)
	}
	take(t, j, 30)
	if _, err := j.Replay(t.Context(), journal.Range{Account: "a"}, nil); jauge.ReasonOf(err) != jauge.ReasonBadRequest {
		t.Errorf("an account without a platform gave %v", err)
	}
}

func bury(t testing.TB, j *journal.Journal, letters ...pipeline.Letter) {
	t.Helper()
	if err := j.Bury(t.Context(), letters); err != nil {
		t.Fatalf("bury: %v", err)
	}
}

func letters(t testing.TB, j *journal.Journal) []journal.DeadLetter {
	t.Helper()
	got, err := j.DeadLetters(t.Context())
	if err != nil {
		t.Fatalf("list dead letters: %v", err)
	}
	return got
}

func buriedOnce(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	p := Page("did:plc:a", 3)
	mark := p
	mark.Observations, mark.Complete = nil, true
	raw := pipeline.Letter{Page: jauge.Page{Platform: jauge.Mastodon, Account: "1@x"}, Reason: "decode page:\nbroken", Raw: []byte{9, 9, 9}}
	batch := []pipeline.Letter{{Page: p, Reason: "unknown \r\nunit"}, {Page: mark, Reason: "mark"}, raw}
	bury(t, j, batch...)
	bury(t, j, batch...)
	mustClose(t, j)
	j = d.Open(t, nil) // the server's window of known ids is no part of it
	batch[0].Reason = "told otherwise"
	bury(t, j, batch...)

	got := letters(t, j)
	if len(got) != 3 {
		t.Fatalf("%d letters, want 3", len(got))
	}
	first := got[0]
	if first.Platform != jauge.Bluesky || first.Account != "did:plc:a" || first.Run != "run1" || first.Reason != "unknown   unit" ||
		first.Size == 0 || first.At.IsZero() || first.ID == "" || first.Page == nil {
		t.Errorf("first letter: %+v", first)
	} else if d := cmp.Diff(p, *first.Page); d != "" { // a page of one observation
		t.Errorf("first letter's page (-want +got):\n%s", d)
	}
	if l := got[2]; l.Account != "1@x" || l.Page != nil || l.Size != 3 {
		t.Errorf("letter that cannot be decoded: %+v", l)
	}
	if b, err := j.Buried(t.Context()); err != nil || len(b[0].Page.Observations) != 1 {
		t.Errorf("a buried page looks like a mark: %+v (%v)", b[0].Page, err)
	}
	buried, err := j.Buried(t.Context())
	if err != nil || len(buried) != 3 {
		t.Fatalf("%d buried (%v), want 3", len(buried), err)
	}
	if b := buried[1].Page; b.Account != "did:plc:a" || b.Run != "run1" || !b.Complete || len(b.Observations) != 0 {
		t.Errorf("buried mark: %+v", b)
	}
}

func deadFull(t *testing.T, d Deployment) {
	j := d.Open(t, func(c *journal.Config) { c.DeadMaxBytes = 4 << 20 })
	n := 0
	var err error
	for ; n < 100 && err == nil; n++ {
		err = j.Bury(t.Context(), []pipeline.Letter{{Page: heavy("a", n), Reason: "r"}})
	}
	if !errors.Is(err, journal.ErrFull) || jauge.ReasonOf(err) != jauge.ReasonQuota {
		t.Fatalf("after %d letters: %v", n, err)
	}
	buried := n - 1
	if got := letters(t, j); len(got) != buried || got[0].Page.Seq != 0 {
		t.Fatalf("%d letters, want %d, with the first", len(got), buried)
	}
	done, err := j.ReplayDead(t.Context())
	if err != nil || done != buried {
		t.Fatalf("%d replayed (%v), want %d", done, err, buried)
	}
	bury(t, j, pipeline.Letter{Page: heavy("a", n-1), Reason: "r"})
	mustSettle(t, j, take(t, j, buried))
}

func deadReplay(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	mark := Page("a", 2)
	mark.Observations, mark.Complete = nil, true
	other := Page("a", 0)
	other.Run = "run2"
	bury(t, j, pipeline.Letter{Page: mark, Reason: "mark"}, pipeline.Letter{Page: Page("b", 1), Reason: "r"},
		pipeline.Letter{Page: Page("a", 1), Reason: "r"}, pipeline.Letter{Page: Page("a", 2), Reason: "r"}, pipeline.Letter{Page: other, Reason: "r"})

	all := letters(t, j)
	if n, err := j.ReplayDead(t.Context(), all[0].ID, "nosuchid"); jauge.ReasonOf(err) != jauge.ReasonNotFound || n != 0 {
		t.Errorf("an unknown id: %d replayed, %v", n, err)
	}
	if n, err := j.ReplayDead(t.Context(), all[1].ID); err != nil || n != 1 {
		t.Fatalf("%d replayed (%v), want 1", n, err)
	}
	if n, err := j.ReplayDead(t.Context()); err != nil || n != 4 {
		t.Fatalf("%d replayed (%v), want 4", n, err)
	}
	msgs := take(t, j, 5)
	var got []string
	for _, m := range msgs {
		got = append(got, fmt.Sprintf("%s %s %d %t", m.Page.Account, m.Page.Run, m.Page.Seq, m.Page.Complete))
	}
	want := []string{"b run1 1 false", "a run1 1 false", "a run1 2 false", "a run1 2 true", "a run2 0 false"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	mustSettle(t, j, msgs)
	if left := letters(t, j); len(left) != 0 {
		t.Errorf("%d letters are left", len(left))
	}
}

// stillBroken buries a letter again while its replay runs, again and again: it must never vanish.
func stillBroken(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	raw := pipeline.Letter{Page: jauge.Page{Platform: jauge.Bluesky, Account: "a"}, Reason: "broken", Raw: []byte{9}}
	bury(t, j, raw)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() { // the pipeline: buries whatever comes
		n := 0
		defer func() { ended <- n }()
		for {
			msgs, err := j.Next(ctx, 10)
			if err != nil {
				return
			}
			for _, m := range msgs {
				if m.Err == nil || m.Page.Account != "a" || string(m.Raw) != "\x09" {
					t.Errorf("message: %+v", m)
				}
				n++
				if err := j.Bury(ctx, []pipeline.Letter{{Page: m.Page, Reason: m.Err.Error(), Raw: m.Raw}}); err != nil && ctx.Err() == nil {
					t.Errorf("bury: %v", err)
				}
			}
			if err := j.Settle(ctx, msgs); err != nil && ctx.Err() == nil {
				t.Errorf("settle: %v", err)
			}
		}
	}()
	replayed := 0
	for range 30 {
		n, err := j.ReplayDead(t.Context())
		if err != nil {
			t.Fatalf("replay: %v", err)
		}
		replayed += n
	}
	deadline := time.Now().Add(patience)
	for pending(t, j) > 0 && time.Now().Before(deadline) {
		none2 := time.NewTimer(time.Millisecond)
		<-none2.C
	}
	cancel()
	if n := <-ended; n != replayed || replayed == 0 {
		t.Errorf("%d replayed, %d came", replayed, n)
	}
	if got := letters(t, j); len(got) != 1 || !strings.Contains(got[0].Reason, "layout") {
		t.Errorf("%d letters are left, want the one", len(got))
	}
}

func deadDiscard(t *testing.T, d Deployment) {
	j := d.Open(t, nil)
	mark := Page("a", 2)
	mark.Observations, mark.Complete = nil, true
	other := Page("a", 0)
	other.Run = "run2"
	otherMark := mark
	otherMark.Run = "run2"
	bury(t, j, pipeline.Letter{Page: mark, Reason: "mark"}, pipeline.Letter{Page: Page("a", 1), Reason: "r"},
		pipeline.Letter{Page: Page("b", 1), Reason: "r"}, pipeline.Letter{Page: other, Reason: "r"}, pipeline.Letter{Page: otherMark, Reason: "mark"})
	all := letters(t, j)
	for reason, ids := range map[jauge.Reason][]string{
		jauge.ReasonNotFound: {all[1].ID, "nosuchid"}, jauge.ReasonBadRequest: nil,
	} {
		if n, err := j.DiscardDead(t.Context(), ids...); n != 0 || jauge.ReasonOf(err) != reason {
			t.Errorf("%v: %d discarded, %v", ids, n, err)
		}
	}
	if n, err := j.DiscardDead(t.Context(), all[1].ID, all[1].ID, all[4].ID); err != nil || n != 2 {
		t.Fatalf("%d discarded (%v), want 2", n, err)
	}
	var left []string
	for _, l := range letters(t, j) {
		left = append(left, l.Account+" "+l.Run)
	}
	if d := cmp.Diff([]string{"b run1", "a run2"}, left); d != "" { // run1 of a lost a page: its mark went along
		t.Errorf("left (-want +got):\n%s", d)
	}
	bury(t, j, pipeline.Letter{Page: Page("a", 1), Reason: "r"})
	if n := len(letters(t, j)); n != 3 {
		t.Errorf("%d letters after the same one was buried again, want 3", n)
	}
}
