package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
)

func testDelete(t *testing.T, s Store) {
	keep := []jauge.Record{
		Row(jauge.SocialPostDaily, at(1), with(dailyTags, 3, "image"), "likes", 1),
		Row(jauge.SocialPostDaily, at(1), with(dailyTags, 0, "rival"), "likes", 1),
		Row(jauge.SocialPostDaily, at(1).Add(1), dailyTags, "likes", 1),
		Row(jauge.SocialPostDaily, at(1).Add(-1), dailyTags, "likes", 1),
	}
	gone := Row(jauge.SocialPostDaily, at(1), dailyTags, "likes", 1, "final", true)
	other := Row(jauge.SocialPost, at(1), postTags, "post_id", "p", "likes", 1)
	old := Row(jauge.SocialPostHistory, at(1), historyTags, "post_id", "p")
	write(t, s, append(keep, gone, other, old)...)
	key := gone
	key.Values = nil
	for range 2 { // the second time there is nothing left to delete
		if err := s.Delete(t.Context(), []jauge.Record{key, old}); err != nil {
			t.Fatalf("delete: %v", err)
		}
		same(t, "left", read(t, s, all(jauge.SocialPostDaily)), keep...)
	}
	same(t, "another measurement", read(t, s, all(jauge.SocialPost)), other)
	same(t, "the history", read(t, s, all(jauge.SocialPostHistory)))
	write(t, s, gone)
	same(t, "written again", read(t, s, all(jauge.SocialPostDaily)), append(keep, gone)...)
	if err := s.Delete(t.Context(), nil); err != nil {
		t.Errorf("delete nothing: %v", err)
	}
	if err := s.Delete(t.Context(), []jauge.Record{{Schema: gone.Schema, Tags: []string{"acme"}}}); err == nil {
		t.Error("a key without all its tags was taken")
	}
}

// testMove moves a post to another format in the way that the pipeline does: the new row first, then the old one's
// deletion. Between the two a store may hold both rows, or only the new one; repeating all of it changes nothing.
func testMove(t *testing.T, s Store) {
	old := Row(jauge.SocialPost, at(1), postTags, "post_id", "p", "likes", 1, "excerpt", "x")
	other := Row(jauge.SocialPost, at(2), postTags, "post_id", "q", "likes", 1)
	fresh := Row(jauge.SocialPost, at(1), with(postTags, 3, "image"), "post_id", "p", "likes", 2)
	write(t, s, old, other)
	for range 2 {
		write(t, s, fresh)
		if err := s.Delete(t.Context(), []jauge.Record{old}); err != nil {
			t.Fatal(err)
		}
		inOrder(t, "moved", read(t, s, all(jauge.SocialPost)), fresh, other)
	}
	brand := Row(jauge.SocialPost, at(1), with(fresh.Tags, 0, "new brand"), "post_id", "p", "likes", 3)
	brand.Replace = true
	write(t, s, brand, other)
	if err := s.Delete(t.Context(), []jauge.Record{fresh}); err != nil {
		t.Fatal(err)
	}
	inOrder(t, "moved again", read(t, s, all(jauge.SocialPost)), brand, other)
	// Two posts of one account may trade their keys in one call only where one of them is moved away before.
	write(t, s, Row(jauge.SocialPost, at(2), postTags, "post_id", "q", "likes", 5))
	inOrder(t, "a merge after a move", read(t, s, all(jauge.SocialPost)), brand,
		Row(jauge.SocialPost, at(2), postTags, "post_id", "q", "likes", 5))
}

func testInvalid(t *testing.T, s Store) {
	good := []jauge.Record{kpi(1, "value", 1), kpi(2, "value", 2)}
	bad := []jauge.Record{
		kpi(3, "value", math.NaN()), kpi(4, "value", math.Inf(1)), kpi(5),
		Row(jauge.SocialKPI, at(6), with(kpiTags, 0, ""), "value", 1), {},
	}
	err := s.Write(t.Context(), []jauge.Record{bad[0], good[0], bad[1], bad[2], good[1], bad[3], bad[4]})
	refused, ok := errors.AsType[*jauge.RejectedError](err)
	if !ok {
		t.Fatalf("write with bad rows: %v, want a *jauge.RejectedError", err)
	}
	if len(refused.Rows) != len(bad) || len(refused.Reasons) != len(bad) {
		t.Errorf("%d rows rejected with %d reasons, want %d", len(refused.Rows), len(refused.Reasons), len(bad))
	}
	for i, why := range refused.Reasons {
		if why == "" {
			t.Errorf("row %d is rejected without a reason", i)
		}
	}
	inOrder(t, "the others", read(t, s, all(jauge.SocialKPI)), good...)
}

func testBig(t *testing.T, s Store) {
	const n = 20_000
	rows := make([]jauge.Record, n)
	for i := range rows {
		tags := with(historyTags, 2, fmt.Sprintf("did:%d", i%37))
		rows[i] = Row(jauge.SocialPostHistory, at(0).Add(time.Duration(i)*time.Second), tags,
			"post_id", fmt.Sprint("post", i), "likes", i, "comments", 1)
	}
	write(t, s, rows...)
	next := 0
	for r, err := range s.Read(t.Context(), all(jauge.SocialPostHistory)) {
		if err != nil {
			t.Fatal(err)
		}
		if next >= n || !r.Equal(&rows[next]) {
			t.Fatalf("row %d: got %+v", next, plain(&r))
		}
		next++
	}
	if next != n {
		t.Errorf("%d rows, want %d", next, n)
	}
	write(t, s, rows...)
	one := jauge.Query{Measurement: jauge.SocialPostHistory, Match: map[string][]string{"account": {"did:5"}}}
	if got, want := len(read(t, s, one)), (n-5+36)/37; got != want {
		t.Errorf("%d rows of one account, want %d", got, want)
	}
}

func testConcurrent(t *testing.T, s Store) {
	const writers, rounds, each = 4, 5, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range rounds {
				var rows []jauge.Record
				for i := range each {
					rows = append(rows, Row(jauge.SocialKPI, at(i), with(kpiTags, 2, fmt.Sprint("a", w)), "value", n))
				}
				if err := s.Write(t.Context(), rows); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
				mine := jauge.Query{Measurement: jauge.SocialKPI, Match: map[string][]string{"account": {fmt.Sprint("a", w)}}}
				got, err := Collect(t.Context(), s, mine)
				if err != nil || len(got) != each {
					t.Errorf("writer %d reads %d rows: %v", w, len(got), err)
				}
				for i := range got {
					if v, _ := got[i].Float("value"); v != float64(n) {
						t.Errorf("writer %d reads %v after it wrote %d", w, v, n)
						break
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if _, err := Collect(t.Context(), s, all(jauge.SocialKPI)); err != nil {
				t.Errorf("reader: %v", err)
			}
		}
	})
	wg.Wait()
	if got := len(read(t, s, all(jauge.SocialKPI))); got != writers*each {
		t.Errorf("%d rows, want %d", got, writers*each)
	}
}

// testNested reads and writes within the loop of a read, as a caller may.
func testNested(t *testing.T, s Store) {
	for i := range 10 {
		write(t, s, kpi(i, "value", i))
	}
	for r, err := range s.Read(t.Context(), all(jauge.SocialKPI)) {
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, jauge.Query{Measurement: jauge.SocialKPI, From: time.Unix(0, r.Time), Limit: 1}); len(got) != 1 {
			t.Errorf("%d rows read within a read, want 1", len(got))
		}
		write(t, s, Row(jauge.SocialPostDaily, time.Unix(0, r.Time), dailyTags, "likes", 1))
	}
	if got := len(read(t, s, all(jauge.SocialPostDaily))); got != 10 {
		t.Errorf("%d rows written within a read, want 10", got)
	}
}

func testCancel(t *testing.T, s Store) {
	var rows []jauge.Record
	for i := range 5000 {
		rows = append(rows, kpi(i, "value", i))
	}
	write(t, s, rows...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.Read(ctx, all(jauge.SocialKPI)) {
		if last = err; err != nil {
			continue
		}
		if n++; n == 10 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n >= len(rows) {
		t.Errorf("a read cancelled at row 10 gave %d rows and ended with %v", n, last)
	}
	for name, err := range map[string]error{
		"write":  s.Write(ctx, rows),
		"delete": s.Delete(ctx, rows[:1]),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", name, err)
		}
	}
	if _, err := Collect(ctx, s, all(jauge.SocialKPI)); !errors.Is(err, context.Canceled) {
		t.Errorf("read with a cancelled context: %v", err)
	}
	if got := len(read(t, s, all(jauge.SocialKPI))); got != len(rows) {
		t.Errorf("%d rows after it, want %d", got, len(rows))
	}
}

func testThrough(t *testing.T, s Store) {
	day := with(accountTags, 3, "day")
	toot := []string{"acme", "mastodon", "1@m.example", "text"}
	write(t, s,
		Row(jauge.SocialAccount, at(1), accountTags, "followers", 1, "posts", 1),
		Row(jauge.SocialAccount, at(5), accountTags, "followers", 2),
		Row(jauge.SocialAccount, at(6), accountTags, "account_state", "suspended"),
		Row(jauge.SocialAccount, at(2), day, "reach", 5, "day", "2026-01-02"),
		Row(jauge.SocialAccount, at(9), with(accountTags, 3, "week"), "reach", 5),
		Row(jauge.SocialPost, at(1), postTags, "post_id", "p", "likes", 1, "observed_at", at(7)),
		Row(jauge.SocialPost, at(2), postTags, "post_id", "q", "likes", 1, "comments", 0, "observed_at", at(4)),
		Row(jauge.SocialPost, at(3), postTags, "post_id", "r", "observed_at", at(8)),
		Row(jauge.SocialPostDaily, at(1), dailyTags, "likes", 0, "day", "2026-01-03"),
		Row(jauge.SocialPostDaily, at(1), with(dailyTags, 3, "image"), "likes", 0, "day", "2026-01-03"),
		Row(jauge.SocialPostDaily, at(0), dailyTags, "likes", 1, "comments", 1, "day", "2026-01-01"),
		Row(jauge.SocialPost, at(1), toot, "post_id", "p", "likes", 1, "observed_at", at(3)),
	)
	const b, m = jauge.Bluesky, jauge.Mastodon
	want := []jauge.DataThrough{
		{Platform: b, Account: "did:plc:a", Metric: "comments", ReadAt: at(4), Day: "2026-01-01"},
		{Platform: b, Account: "did:plc:a", Metric: "followers", ReadAt: at(5)},
		{Platform: b, Account: "did:plc:a", Metric: "likes", ReadAt: at(7), Day: "2026-01-03"},
		{Platform: b, Account: "did:plc:a", Metric: "posts", ReadAt: at(1)},
		{Platform: b, Account: "did:plc:a", Metric: "reach", Day: "2026-01-02"},
		{Platform: m, Account: "1@m.example", Metric: "likes", ReadAt: at(3)},
	}
	got, err := s.DataThrough(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("data through (-want +got):\n%s", d)
	}
}
