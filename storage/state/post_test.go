package state_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/state"
)

// live makes a post that is due an hour after it was read.
func live(id string, published, read time.Time) jauge.KnownPost {
	return jauge.KnownPost{ID: id, PublishedAt: published, Read: read, Due: read.Add(time.Hour), State: jauge.PostLive}
}

func advance(tb testing.TB, db *state.DB, a jauge.Advance) int {
	tb.Helper()
	n, err := db.Advance(tb.Context(), a)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func due(tb testing.TB, db *state.DB, ref int64, by time.Time) (out []string) {
	tb.Helper()
	posts, err := db.Due(tb.Context(), ref, by)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range posts {
		out = append(out, p.ID+"#"+strconv.Itoa(p.Rank))
	}
	return out
}

func TestDuePostsNewestFirstWithRank(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	at := func(h int) time.Time { return epoch.Add(time.Duration(h) * time.Hour) }
	uri := func(s string) string { return "at://did:1/app.bsky.feed.post/" + s }
	page := jauge.Advance{Ref: ref, Observed: epoch, Posts: []jauge.KnownPost{
		live(uri("new"), at(-1), at(0)), live("at://did:9/other/mid", at(-2), at(0)), live("plain", at(-3), at(0)),
		live(uri("old"), at(-4), at(0)),
	}}
	if n := advance(t, db, page); n != 4 {
		t.Errorf("%d new posts, want 4", n)
	}
	all := []string{uri("new") + "#0", "at://did:9/other/mid#1", "plain#2", uri("old") + "#3"}
	if diff := cmp.Diff(all, due(t, db, ref, at(1))); diff != "" {
		t.Errorf("all due (-want +got):\n%s", diff)
	}
	page.Posts = []jauge.KnownPost{live("plain", at(-3), at(1)), live(uri("new"), at(-9), at(1))}
	if n := advance(t, db, page); n != 0 {
		t.Errorf("%d new posts, want 0", n)
	}
	if diff := cmp.Diff([]string{all[1], all[3]}, due(t, db, ref, at(1))); diff != "" {
		t.Errorf("two due, rank among all, first publication kept (-want +got):\n%s", diff)
	}
	page.Posts = []jauge.KnownPost{
		{ID: "at://did:9/other/mid", Read: at(2), State: jauge.PostDeleted}, // by state alone
		{ID: uri("old"), PublishedAt: at(-4), Read: at(2), Due: at(3), State: jauge.PostHidden},
		{ID: "unknown", Read: at(2), State: jauge.PostDeleted},
	}
	advance(t, db, page)
	if diff := cmp.Diff([]string{uri("new") + "#0", "plain#1", uri("old") + "#2"}, due(t, db, ref, time.Time{})); diff != "" {
		t.Errorf("deleted leaves the ladder, hidden stays (-want +got):\n%s", diff)
	}
	page.Posts = []jauge.KnownPost{live("at://did:9/other/mid", at(-2), at(4))}
	advance(t, db, page)
	if got := due(t, db, ref, time.Time{}); len(got) != 4 {
		t.Errorf("a post that came back is due again: %v", got)
	}
	if err := db.Begin(t.Context(), []int64{ref}, at(5), at(-3)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{uri("new") + "#0", "at://did:9/other/mid#1", "plain#2"}, due(t, db, ref, time.Time{})); diff != "" {
		t.Errorf("old posts leave the ladder (-want +got):\n%s", diff)
	}
	known, err := db.Known(t.Context())
	if err != nil || known[jauge.Bluesky] != 4 {
		t.Errorf("known %v %v, want 4", known, err)
	}
}

func TestCompleteReadingNeverMovesBack(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	advance(t, db, jauge.Advance{
		Ref: ref, Observed: epoch.Add(1), Handle: "x.example", State: jauge.AccountLive, Complete: true, Began: epoch,
		Newest: epoch.Add(-time.Minute),
	})
	advance(t, db, jauge.Advance{Ref: ref, Observed: epoch, Complete: true, Began: epoch.Add(time.Hour), Newest: epoch.Add(-time.Hour)})
	f := roster(t, db)["a.example"]
	if !f.Observed.Equal(epoch.Add(1)) || !f.Newest.Equal(epoch.Add(-time.Minute)) || !f.LastComplete.Equal(epoch.Add(time.Hour)) ||
		f.Account.Handle != "x.example" || f.State != jauge.AccountLive {
		t.Errorf("got %+v", f)
	}
}

func TestManyStemsAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path)
	ref := follow(t, db, "a.example", "did:1")
	var posts []jauge.KnownPost
	want := map[string]bool{}
	for i := range 400 {
		p := live(fmt.Sprintf("https://a.example/%d/post", i), epoch, epoch)
		want[p.ID] = true
		posts = append(posts, p)
	}
	for range 2 { // the same cut the second time, also after a restart
		advance(t, db, jauge.Advance{Ref: ref, Observed: epoch, Posts: posts})
		got, err := db.Due(t.Context(), ref, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, p := range got {
			seen[p.ID] = true
		}
		if diff := cmp.Diff(want, seen); diff != "" || len(got) != len(want) {
			t.Fatalf("%d posts: %s", len(got), diff)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, path)
	}
}

// TestKilled writes in a child process that is killed, and finds in the file every page of which the child said that
// it was recorded.
func TestKilled(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("STATE_TEST_CHILD"); path != "" {
		childWrites(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "state.db")
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "STATE_TEST_CHILD="+path, "STATE_TEST_ROUND="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := ""
		buf := make([]byte, 256)
		for strings.Count(said, "\n") < 40 {
			n, err := out.Read(buf)
			said += string(buf[:n])
			if err != nil {
				t.Fatalf("child ended early: %v %s", err, said)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		said = said[:strings.LastIndexByte(said, '\n')]
		last, err := strconv.Atoi(said[strings.LastIndexByte(said, '\n')+1:])
		if err != nil {
			t.Fatal(err)
		}
		db := open(t, path)
		posts := due(t, db, roster(t, db)["a.example"].Ref, time.Time{})
		known, err := db.Known(t.Context())
		if err != nil || len(posts) < last || known[jauge.Bluesky] != int64(len(posts)) || db.PutAside() != "" {
			t.Fatalf("round %d: child recorded %d, file has %d, counted %v, %v", round, last, len(posts), known, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func childWrites(t *testing.T, path string) {
	db := open(t, path)
	ref := follow(t, db, "a.example", "did:1")
	done := len(due(t, db, ref, time.Time{}))
	for i := done; ; i++ {
		id := fmt.Sprintf("at://did:1/post/%d", i)
		advance(t, db, jauge.Advance{Ref: ref, Observed: epoch.Add(time.Duration(i)), Posts: []jauge.KnownPost{live(id, epoch, epoch)}})
		if _, err := fmt.Println(i + 1); err != nil {
			return
		}
	}
}
