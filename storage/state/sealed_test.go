package state_test

import (
	"bytes"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/state"
	"jauge.dev/jauge/storage/storagetest"
)

func TestSealed(t *testing.T) {
	storagetest.RunSealed(t, func(t *testing.T) func() storagetest.SealedStore {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state.db")
		var last *state.DB
		return func() storagetest.SealedStore {
			if last != nil {
				if err := last.Close(); err != nil {
					t.Fatal(err)
				}
			}
			last = open(t, path)
			return last
		}
	})
}

// In WAL mode FULL (2) synchronises the log at each commit, NORMAL (1) only before a checkpoint.
func TestSealedRecordsAreSynchronised(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	save(t, db, "a", "x", 0) // opens the connection that is asked then
	for sealed, want := range map[bool]int{true: 2, false: 1} {
		mode, journal, err := db.Synchronous(t.Context(), sealed)
		if err != nil || mode != want || journal != "wal" {
			t.Errorf("sealed %v: synchronous is %d in mode %q, want %d in wal: %v", sealed, mode, journal, want, err)
		}
	}
}

func save(t *testing.T, db *state.DB, key, value string, rev uint64) uint64 {
	t.Helper()
	next, err := db.SaveSealed(t.Context(), key, []byte(value), rev)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// testdata/v1.db is what the version before sealed records made.
func TestFileOfTheVersionBeforeIsTakenOver(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/v1.db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	if db.PutAside() != "" || db.Fresh() {
		t.Fatalf("the file was not taken over: aside %q, fresh %v", db.PutAside(), db.Fresh())
	}
	f, ok := roster(t, db)["a.example"]
	if !ok || f.Account.ID != "did:1" {
		t.Errorf("the account is %+v", f)
	}
	if v, ok, err := db.Get(t.Context(), "k"); err != nil || !ok || string(v) != "v" {
		t.Errorf("the small value is %q %v %v", v, ok, err)
	}
	rev := save(t, db, "grant/a", "x", 0)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path)
	if got, err := db.LoadSealed(t.Context(), "grant/a"); err != nil || got.Rev != rev {
		t.Errorf("after another start: %+v %v", got, err)
	}
}

func TestFileOfANewerVersionStaysAsItIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path)
	save(t, db, "grant/a", "x", 0)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	statement(t, path, "PRAGMA user_version = 99")
	db, err := state.New(state.Config{Path: path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "newer jauge (version 99") {
		t.Errorf("a newer file gave %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func statement(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// Sealed records are the only thing in the file that cannot be read again from the store.
func TestSealedRecordsAreSavedFromADamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path)
	rev := save(t, db, "grant/a", "kept", 0)
	last := save(t, db, "grant/b", "dropped", 0)
	if err := db.DropSealed(t.Context(), "grant/b", last); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".damaged", nil, 0o600); err != nil { // as an earlier run left it
		t.Fatal(err)
	}
	db = open(t, path)
	if db.PutAside() == "" || !db.NeedsRebuild() {
		t.Fatalf("aside %q, rebuild %v", db.PutAside(), db.NeedsRebuild())
	}
	got, err := db.LoadSealed(t.Context(), "grant/a")
	if err != nil || string(got.Value) != "kept" || got.Rev != rev {
		t.Errorf("the record is %+v %v", got, err)
	}
	if next := save(t, db, "grant/b", "again", 0); next <= last {
		t.Errorf("revision %d follows %d", next, last)
	}
	if _, err := os.Stat(db.PutAside()); err != nil {
		t.Errorf("the damaged file is not kept: %v", err)
	}
}

func TestLossOfSealedRecordsIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path)
	save(t, db, "grant/a", "x", 0)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	statement(t, path, "DROP TABLE sealed")
	if err := os.WriteFile(path+".damaged", nil, 0o600); err != nil {
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
	if !strings.Contains(logged.String(), "accounts that were connected may be lost") {
		t.Errorf("the log does not tell: %s", logged.String())
	}
	if _, err := db.LoadSealed(t.Context(), "grant/a"); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("load gave %v", err)
	}
}

// The scheduler writes while grants are renewed; neither fails for the other.
func TestSealedBesideTheScheduler(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	ref := follow(t, db, "a.example", "did:1")
	done := make(chan error, 1)
	go func() {
		var err error
		for i := range 200 {
			err = errors.Join(err, db.SaveBackfill(t.Context(), ref, jauge.BackfillMark{Since: epoch, Pages: i}))
		}
		done <- err
	}()
	var rev uint64
	for range 100 {
		rev = save(t, db, "grant/a", "x", rev)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
