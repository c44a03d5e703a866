package state_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/state"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 123456789, time.UTC)

func open(tb testing.TB, path string) *state.DB {
	tb.Helper()
	db, err := state.New(state.Config{Path: path}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := db.Open(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func fresh(tb testing.TB) *state.DB {
	tb.Helper()
	return open(tb, filepath.Join(tb.TempDir(), "state.db"))
}

func acct(handle, brand string) jauge.Account {
	return jauge.Account{Platform: jauge.Bluesky, Handle: handle, Brand: brand}
}

// roster reads all accounts by the handle as configured.
func roster(tb testing.TB, db *state.DB) map[string]jauge.Followed {
	tb.Helper()
	out := map[string]jauge.Followed{}
	for f, err := range db.Roster(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		out[f.Configured] = f
	}
	return out
}

func sync(tb testing.TB, db *state.DB, at time.Time, accounts ...jauge.Account) []string {
	tb.Helper()
	changes, err := db.Sync(tb.Context(), accounts, at)
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		out = append(out, strings.TrimSpace(string(c.Kind)+" "+c.Account.Handle+" "+c.Account.Brand+" "+c.Was))
	}
	return out
}

// follow configures one account and resolves it.
func follow(tb testing.TB, db *state.DB, handle, id string) int64 {
	tb.Helper()
	sync(tb, db, epoch, acct(handle, "acme"))
	f, err := db.Resolved(tb.Context(), roster(tb, db)[handle].Ref, id, handle, epoch)
	if err != nil {
		tb.Fatal(err)
	}
	return f.Ref
}

func TestSyncFollowsConfig(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	day := func(n int) time.Time { return epoch.AddDate(0, 0, n) }
	steps := []struct {
		accounts []jauge.Account
		want     []string
	}{
		{[]jauge.Account{acct("a.example", "acme"), acct("b.example", "acme")}, []string{"added a.example acme", "added b.example acme"}},
		{[]jauge.Account{acct("@A.example", "acme"), acct("b.example", "acme")}, nil}, // another spelling, the same handle
		{[]jauge.Account{acct("a.example", "acme")}, []string{"removed b.example acme"}},
		{[]jauge.Account{acct("a.example", "acme")}, nil},
		{[]jauge.Account{acct("b.example", "other"), acct("a.example", "acme")}, []string{
			"put_back b.example other", "brand b.example other acme",
		}},
	}
	for i, s := range steps {
		if diff := cmp.Diff(s.want, sync(t, db, day(i), s.accounts...)); diff != "" {
			t.Fatalf("step %d: changes (-want +got):\n%s", i, diff)
		}
		if i == 2 {
			if got := roster(t, db)["b.example"].Removed; !got.Equal(day(2)) {
				t.Errorf("removed at %v, want %v", got, day(2))
			}
		}
	}
	got := roster(t, db)
	if !got["b.example"].Removed.IsZero() || !got["b.example"].Since.Equal(day(0)) {
		t.Errorf("put back: %+v", got["b.example"])
	}
	if _, err := db.Sync(t.Context(), []jauge.Account{acct("x.example", "a"), acct("@X.example", "b")}, day(9)); err == nil {
		t.Error("one account listed twice was taken")
	}
	if len(roster(t, db)) != 2 {
		t.Error("a refused configuration left traces")
	}
}

func TestResolvedIdStays(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	f, err := db.Resolved(t.Context(), ref, "did:2", "a.example", epoch.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if f.Account.ID != "did:1" || f.Elsewhere != "did:2" {
		t.Errorf("id %q elsewhere %q, want did:1 and did:2", f.Account.ID, f.Elsewhere)
	}
	if f, err = db.Resolved(t.Context(), ref, "did:1", "new.example", epoch.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if f.Elsewhere != "" || f.Account.Handle != "new.example" {
		t.Errorf("back again: elsewhere %q handle %q", f.Elsewhere, f.Account.Handle)
	}
}

func TestRespeltHandleGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	old := follow(t, db, "old.example", "did:1")
	advance(t, db, jauge.Advance{Ref: old, Observed: epoch, Posts: []jauge.KnownPost{live("p", epoch, epoch)}})
	sync(t, db, epoch.Add(time.Hour), acct("new.example", "other"))
	if err := db.Unresolved(t.Context(), roster(t, db)["new.example"].Ref,
		jauge.Failure{Reason: jauge.ReasonServer, Text: "down", At: epoch}, epoch.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f, err := db.Resolved(t.Context(), roster(t, db)["new.example"].Ref, "did:1", "new.example", epoch.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if f.Ref != old || !f.Removed.IsZero() || f.Configured != "new.example" || f.Account.Brand != "other" {
		t.Errorf("got %+v, want the old entry under the new spelling", f)
	}
	if n := len(roster(t, db)); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if posts := due(t, db, old, time.Time{}); len(posts) != 1 {
		t.Errorf("posts of the old entry: %v", posts)
	}
	moves, err := db.Moves(t.Context())
	if err != nil || len(moves) != 1 || moves[0].From != "acme" || moves[0].Account.Brand != "other" {
		t.Errorf("moves %+v, %v", moves, err)
	}
}

func TestTwoHandlesOfOneAccountAreRefused(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	sync(t, db, epoch, acct("a.example", "acme"), acct("b.example", "rival"))
	r := roster(t, db)
	if _, err := db.Resolved(t.Context(), r["a.example"].Ref, "did:1", "a.example", epoch); err != nil {
		t.Fatal(err)
	}
	_, err := db.Resolved(t.Context(), r["b.example"].Ref, "did:1", "a.example", epoch)
	if jauge.ReasonOf(err) != jauge.ReasonBadRequest {
		t.Errorf("error %v, want reason bad_request", err)
	}
}

func TestRunsAndFailures(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	if err := db.Begin(t.Context(), []int64{ref}, epoch, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if f := roster(t, db)["a.example"]; !f.Unfinished || !f.LastRun.Equal(epoch) {
		t.Errorf("begun: %+v", f)
	}
	fail := jauge.Failure{Reason: jauge.ReasonServer, Text: "broken", At: epoch.Add(time.Minute)}
	for range 2 {
		if err := db.End(t.Context(), []jauge.Outcome{{Ref: ref, At: fail.At, Failure: fail}}); err != nil {
			t.Fatal(err)
		}
	}
	fail.Count = 2
	if f := roster(t, db)["a.example"]; f.Unfinished || f.Failure != fail || !f.LastSuccess.IsZero() {
		t.Errorf("failed: %+v", f)
	}
	if err := db.End(t.Context(), []jauge.Outcome{{Ref: ref, At: epoch.Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	if f := roster(t, db)["a.example"]; f.Failure != (jauge.Failure{}) || !f.LastSuccess.Equal(epoch.Add(time.Hour)) {
		t.Errorf("ended: %+v", f)
	}
}

func TestBrandMoves(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	k := jauge.Key{Platform: jauge.Bluesky, Account: "did:1"}
	pending := func() (from []string) {
		t.Helper()
		moves, err := db.Moves(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range moves {
			from = append(from, m.From+">"+m.Account.Brand)
		}
		return from
	}
	sync(t, db, epoch, acct("a.example", "b"))
	sync(t, db, epoch, acct("a.example", "c"))
	if diff := cmp.Diff([]string{"acme>c", "b>c"}, pending()); diff != "" {
		t.Fatal(diff)
	}
	sync(t, db, epoch, acct("a.example", "b")) // back again before anything was moved
	if diff := cmp.Diff([]string{"acme>b", "c>b"}, pending()); diff != "" {
		t.Fatal(diff)
	}
	for _, from := range []string{"acme", "b", "c"} { // b is where rows belong: it stays
		if err := db.Moved(t.Context(), k, from); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := db.StoredBrands(t.Context(), k)
	if diff := cmp.Diff([]string{"b"}, stored); diff != "" || err != nil || len(pending()) != 0 {
		t.Errorf("stored %v %v, pending %v, ref %d", stored, err, pending(), ref)
	}
}

func TestSmallValuesAndCursors(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	if _, ok, err := db.Backfill(t.Context(), ref); ok || err != nil {
		t.Fatalf("cursor out of nothing: %v %v", ok, err)
	}
	want := jauge.BackfillMark{Since: epoch, Cursor: "c9", Pages: 3}
	for _, m := range []jauge.BackfillMark{{Since: epoch, Cursor: "c1"}, want} {
		if err := db.SaveBackfill(t.Context(), ref, m); err != nil {
			t.Fatal(err)
		}
	}
	got, ok, err := db.Backfill(t.Context(), ref)
	if err != nil || !ok || got != want {
		t.Errorf("cursor %+v %v %v", got, ok, err)
	}
	if err := db.Set(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := db.Get(t.Context(), "k"); err != nil || !ok || string(v) != "v" {
		t.Errorf("value %q %v %v", v, ok, err)
	}
}

func TestDamagedFileIsPutAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	junk := bytes.Repeat([]byte("no database "), 1000)
	if err := os.WriteFile(path, junk, 0o600); err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	db, err := state.New(state.Config{Path: path}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if !db.NeedsRebuild() || db.PutAside() == "" || !strings.Contains(logged.String(), "put aside") {
		t.Errorf("rebuild %v, aside %q, log %q", db.NeedsRebuild(), db.PutAside(), logged.String())
	}
	kept, err := os.ReadFile(db.PutAside())
	if err != nil || !bytes.Equal(kept, junk) {
		t.Errorf("the damaged file is not kept: %v", err)
	}
}

func TestDamageFoundInUseIsPutAsideAtTheNextOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path)
	ref := follow(t, db, "a.example", "did:1")
	posts := make([]jauge.KnownPost, 5000)
	for i := range posts {
		posts[i] = live(strings.Repeat("x", 40)+time.Duration(i).String(), epoch.Add(-time.Duration(i)*time.Second), epoch)
	}
	advance(t, db, jauge.Advance{Ref: ref, Observed: epoch, Posts: posts})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(raw) / 3; i < len(raw); i++ {
		raw[i] = 0xA5
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db = open(t, path)
	if db.PutAside() == "" { // the header and the roots may be whole: then reading finds it
		if _, err := db.Due(t.Context(), ref, time.Time{}); err == nil || !db.Damaged() {
			t.Fatalf("damage not noticed: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, path)
	}
	if db.PutAside() == "" || !db.NeedsRebuild() {
		t.Errorf("aside %q, rebuild %v", db.PutAside(), db.NeedsRebuild())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, path); again.PutAside() != "" || !again.NeedsRebuild() {
		t.Errorf("second open: aside %q, rebuild %v", again.PutAside(), again.NeedsRebuild())
	}
}
