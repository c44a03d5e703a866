package state_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/state"
	"jauge.dev/jauge/storage/storagetest"
)

func storeOf(tb testing.TB) *storagetest.Mem {
	tb.Helper()
	mem := storagetest.NewMem()
	account := func(id, handle string, at time.Time, complete bool) jauge.Record {
		return storagetest.Row(jauge.SocialAccount, at, []string{"acme", "bluesky", id, "instant", "false"},
			"handle", handle, "account_state", "live", "observed_at", at.Add(time.Second), "complete_reading", complete)
	}
	rows := []jauge.Record{
		account("did:1", "a.example", epoch, true),
		account("did:1", "a.example", epoch.Add(time.Hour), false),
		account("did:2", "gone.example", epoch, true),
		account("did:3", "silent.example", time.Now(), true), // an account without posts
	}
	for i := range 5000 {
		p := epoch.Add(-time.Duration(i) * time.Minute)
		state := "live"
		if i == 7 {
			state = "deleted"
		}
		rows = append(rows, storagetest.Row(jauge.SocialPost, p, []string{"acme", "bluesky", "did:1", "text"},
			"post_id", fmt.Sprintf("at://did:1/post/%d", i), "published_at", p, "observed_at", epoch, "state", state))
	}
	late := epoch.Add(30 * time.Minute)
	rows = append(rows,
		storagetest.Row(jauge.SocialPost, late, []string{"former", "bluesky", "did:1", "text"},
			"post_id", "late", "published_at", late, "observed_at", epoch.Add(time.Hour)),
		storagetest.Row(jauge.SocialPost, epoch, []string{"acme", "bluesky", "did:2", "text"},
			"post_id", "p", "published_at", epoch.Add(-time.Hour), "observed_at", epoch))
	if err := mem.Write(tb.Context(), rows); err != nil {
		tb.Fatal(err)
	}
	return mem
}

// ladderOfTests keeps a post due an hour after its reading while it is younger than a day.
func ladderOfTests(published, read time.Time) time.Time {
	if read.Sub(published) >= 24*time.Hour {
		return time.Time{}
	}
	return read.Add(time.Hour)
}

func openForRebuild(t *testing.T) *state.DB {
	t.Helper()
	db, err := state.New(state.Config{Path: t.TempDir() + "/state.db", NextDue: ladderOfTests}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func checkRebuilt(t *testing.T, db *state.DB) {
	t.Helper()
	a := roster(t, db)["a.example"]
	if a.Account.ID != "did:1" || !a.Removed.IsZero() || !a.LastComplete.Equal(epoch) ||
		!a.Newest.Equal(epoch.Truncate(time.Millisecond)) || !a.Observed.Equal(epoch.Add(time.Hour+time.Second)) {
		t.Errorf("account: %+v", a)
	}
	posts, err := db.Due(t.Context(), a.Ref, time.Time{})
	if err != nil || len(posts) != 1440 { // a day of minutes, less the deleted one, and the late one
		t.Errorf("%d posts on the ladder, %v", len(posts), err)
	}
	gone, silent := roster(t, db)["gone.example"], roster(t, db)["silent.example"]
	if gone.Account.ID != "did:2" || !gone.Removed.Equal(epoch.Add(time.Second)) || silent.Account.ID != "did:3" {
		t.Errorf("gone %+v, silent %+v", gone, silent)
	}
	known, err := db.Known(t.Context())
	if err != nil || known[jauge.Bluesky] != 5002 || db.NeedsRebuild() {
		t.Errorf("known %v %v, still to rebuild: %v", known, err, db.NeedsRebuild())
	}
	moves, err := db.Moves(t.Context())
	if err != nil || len(moves) != 1 || moves[0].From != "former" {
		t.Errorf("moves %+v %v", moves, err)
	}
}

func TestRebuildBeforeSync(t *testing.T) {
	t.Parallel()
	db := openForRebuild(t)
	if err := db.Rebuild(t.Context(), storeOf(t).Read); err != nil {
		t.Fatal(err)
	}
	sync(t, db, epoch.Add(2*time.Hour), acct("@a.example", "acme"))
	r := roster(t, db)
	if _, ok := r["@a.example"]; !ok {
		t.Fatalf("config's spelling not taken: %v", r)
	}
	sync(t, db, epoch.Add(2*time.Hour), acct("a.example", "acme"))
	checkRebuilt(t, db)
}

func TestRebuildAfterSync(t *testing.T) {
	t.Parallel()
	db := openForRebuild(t)
	sync(t, db, epoch.Add(2*time.Hour), acct("a.example", "acme"))
	if err := db.Rebuild(t.Context(), storeOf(t).Read); err != nil {
		t.Fatal(err)
	}
	checkRebuilt(t, db)
}

func TestRebuildBesideARunAndCutShort(t *testing.T) {
	t.Parallel()
	db := openForRebuild(t)
	ref := follow(t, db, "a.example", "did:1")
	advance(t, db, jauge.Advance{Ref: ref, Observed: epoch.Add(time.Minute), Posts: []jauge.KnownPost{
		{ID: "at://did:1/post/3", PublishedAt: epoch.Add(-3 * time.Minute), Read: epoch.Add(time.Minute), State: jauge.PostDeleted},
	}})
	rev := save(t, db, "grant/a", "x", 0)
	mem, down := storeOf(t), errors.New("store is down")
	cut := func(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error] {
		return func(yield func(jauge.Record, error) bool) {
			n := 0
			for r, err := range mem.Read(ctx, q) {
				if n++; n > 3000 {
					yield(jauge.Record{}, down)
					return
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}
	if err := db.Rebuild(t.Context(), cut); !errors.Is(err, down) || !db.NeedsRebuild() {
		t.Fatalf("cut short: %v, still to rebuild: %v", err, db.NeedsRebuild())
	}
	if err := db.Rebuild(t.Context(), mem.Read); err != nil {
		t.Fatal(err)
	}
	posts, err := db.Due(t.Context(), ref, time.Time{})
	if err != nil || len(posts) != 1439 { // what the run knew newer, the deleted post, stays
		t.Errorf("%d posts on the ladder, %v", len(posts), err)
	}
	if f := roster(t, db)["a.example"]; f.Ref != ref || !f.Removed.IsZero() || f.LastComplete.IsZero() {
		t.Errorf("account: %+v", f)
	}
	if got, err := db.LoadSealed(t.Context(), "grant/a"); err != nil || got.Rev != rev || string(got.Value) != "x" {
		t.Errorf("a sealed record became %+v %v", got, err)
	}
}
