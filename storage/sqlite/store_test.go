package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/sqlite"
	"jauge.dev/jauge/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.New(sqlite.Config{Path: path}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func file(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "a file?with #odd%20 name.db")
}

func TestContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Store { return open(t, file(t)) })
}

// raw opens the file as another program would.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	path = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t testing.TB, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func count(t testing.TB, s storagetest.Reader, m jauge.Measurement) int {
	t.Helper()
	rows, err := storagetest.Collect(t.Context(), s, jauge.Query{Measurement: m})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

var instant = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func post(format, id string, n int) jauge.Record {
	return storagetest.Row(jauge.SocialPost, instant.Add(time.Duration(n)), []string{"acme", "bluesky", "did:a", format},
		"post_id", id, "likes", n)
}

func TestConfig(t *testing.T) {
	_, err := sqlite.New(sqlite.Config{HistoryRetention: time.Hour, BusyTimeout: -1, CacheKiB: -1}, nil, nil)
	for _, want := range []string{"PATH", "HISTORY_RETENTION", "BUSY_TIMEOUT", "CACHE_KIB"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestStoreThatComesLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not there yet")
	s := open(t, filepath.Join(dir, "jauge.db"))
	rows := []jauge.Record{post("text", "p", 1)}
	err := s.Write(t.Context(), rows)
	if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Hint == "" {
		t.Errorf("write without a directory: %v, want a *jauge.Error with a hint", err)
	}
	if err := s.Open(t.Context()); err == nil {
		t.Error("open without a directory succeeded")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), rows); err != nil {
		t.Errorf("write once the directory is there: %v", err)
	}
	if err := errors.Join(s.Open(t.Context()), s.Ping(t.Context())); err != nil {
		t.Errorf("open and ping: %v", err)
	}
	if n := count(t, s, jauge.SocialPost); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestClosedStore(t *testing.T) {
	s := open(t, file(t))
	if err := errors.Join(s.Open(t.Context()), s.Close(), s.Close()); err != nil {
		t.Errorf("open, close, close: %v", err)
	}
	if err := s.Write(t.Context(), []jauge.Record{post("text", "p", 1)}); err == nil {
		t.Error("a closed store took a row")
	}
}

func TestShape(t *testing.T) {
	path := file(t)
	s := open(t, path)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	for _, m := range jauge.Schemas() {
		for _, tag := range append([]string{"time"}, m.Tags...) {
			var notNull, pk int
			err := db.QueryRow("SELECT \"notnull\", pk FROM pragma_table_info(?) WHERE name = ?", m.Measurement, tag).Scan(&notNull, &pk)
			if err != nil || notNull != 1 || pk == 0 {
				t.Errorf("%s.%s: not null %d, part of the key %d: %v", m.Measurement, tag, notNull, pk, err)
			}
		}
	}
	var version int
	if err := db.QueryRow("SELECT version FROM jauge_schema").Scan(&version); err != nil || version != jauge.SchemaVersion {
		t.Errorf("schema version %d, %v", version, err)
	}
	exec(t, db, "INSERT INTO social_post (brand, platform, account, format, time, post_id) VALUES ('b', 'p', 'a', 'text', 1, 'x')")
	_, err := db.Exec("INSERT INTO social_post (brand, platform, account, format, time, post_id) VALUES ('b', 'p', 'a', 'text', 2, 'x')")
	if err == nil {
		t.Error("the table takes a post twice")
	}
}

func TestNewColumnIsAdded(t *testing.T) {
	path := file(t)
	s := open(t, path)
	if err := errors.Join(s.Write(t.Context(), []jauge.Record{post("text", "p", 1)}), s.Close()); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	exec(t, db, "ALTER TABLE social_post DROP COLUMN saves")
	exec(t, db, "DROP TABLE restatement")
	s = open(t, path)
	row := storagetest.Row(jauge.SocialPost, instant.Add(1), []string{"acme", "bluesky", "did:a", "text"}, "saves", 4)
	if err := s.Write(t.Context(), []jauge.Record{row}); err != nil {
		t.Fatalf("write a field that the old table lacked: %v", err)
	}
	rows, err := storagetest.Collect(t.Context(), s, jauge.Query{Measurement: jauge.SocialPost})
	if err != nil {
		t.Fatal(err)
	}
	want := storagetest.Row(jauge.SocialPost, instant.Add(1), row.Tags, "post_id", "p", "likes", 1, "saves", 4)
	if d := cmp.Diff(storagetest.Plains([]jauge.Record{want}), storagetest.Plains(rows)); d != "" {
		t.Errorf("after the migration (-want +got):\n%s", d)
	}
	if n := count(t, s, jauge.Restatement); n != 0 {
		t.Errorf("%d restatements", n)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	path := file(t)
	s := open(t, path)
	if err := errors.Join(s.Open(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	exec(t, raw(t, path), "INSERT INTO jauge_schema VALUES (?, 0)", jauge.SchemaVersion+1)
	err := open(t, path).Open(t.Context())
	if e, ok := errors.AsType[*jauge.Error](err); !ok || !strings.Contains(err.Error(), "newer jauge") {
		t.Errorf("open: %v (%v)", err, e)
	}
}

func TestDamagedDatabase(t *testing.T) {
	path := file(t)
	s := open(t, path)
	var rows []jauge.Record
	for i := range 5000 {
		rows = append(rows, post("text", "p"+strings.Repeat("x", i), i))
	}
	if err := errors.Join(s.Write(t.Context(), rows[:500]), s.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	holed := append([]byte{}, whole...)
	copy(holed[4096:], strings.Repeat("\xa5", len(holed)-4096))
	for name, content := range map[string][]byte{
		"no database": []byte(strings.Repeat("this is no database at all. ", 400)),
		"holed":       holed,
	} {
		bad := filepath.Join(t.TempDir(), "bad.db")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, bad)
		_, rerr := storagetest.Collect(t.Context(), s, jauge.Query{Measurement: jauge.SocialPost})
		for call, err := range map[string]error{"read": rerr, "write": s.Write(t.Context(), rows[:3])} {
			if err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s: %s: %v, want it to say that the file is damaged", name, call, err)
			}
		}
		if after, err := os.ReadFile(bad); err != nil || len(after) < len(content) {
			t.Errorf("%s: the file has %d bytes left of %d: %v", name, len(after), len(content), err)
		}
	}
}

// TestMoveInOneWrite holds the promise that a post has one row, wherever a move is cut short.
func TestMoveInOneWrite(t *testing.T) {
	s := open(t, file(t))
	old, fresh := post("text", "p", 1), post("image", "p", 1)
	for _, rows := range [][]jauge.Record{{old}, {fresh}, {old, fresh}, {post("text", "q", 2), post("text", "p", 3), fresh}} {
		if err := s.Write(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	// A row that takes the key of one post and the id of another leaves only itself.
	if err := s.Write(t.Context(), []jauge.Record{post("text", "p", 2)}); err != nil {
		t.Fatal(err)
	}
	rows, err := storagetest.Collect(t.Context(), s, jauge.Query{Measurement: jauge.SocialPost})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(storagetest.Plains([]jauge.Record{post("text", "p", 2)}), storagetest.Plains(rows)); d != "" {
		t.Errorf("posts (-want +got):\n%s", d)
	}
}

func TestPrune(t *testing.T) {
	s := open(t, file(t))
	var rows []jauge.Record
	for i := range 250 {
		tags := []string{"acme", "bluesky", strings.Repeat("a", i+1)}
		for d := range 4 {
			rows = append(rows, storagetest.Row(jauge.SocialPostHistory, instant.AddDate(0, 0, d), tags, "likes", d))
		}
		rows = append(rows, storagetest.Row(jauge.SocialPost, instant, append(tags, "text"), "post_id", "p", "likes", 1))
	}
	if err := errors.Join(s.Write(t.Context(), rows), s.Prune(t.Context(), instant.AddDate(0, 0, 2))); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, jauge.SocialPostHistory); n != 500 {
		t.Errorf("%d history rows left, want 500", n)
	}
	if n := count(t, s, jauge.SocialPost); n != 250 {
		t.Errorf("%d posts left, want 250", n)
	}
}

// TestReadersBeside reads with a store of its own, as another process would, while the first one writes.
func TestReadersBeside(t *testing.T) {
	path := file(t)
	daemon, reader := open(t, path), open(t, path)
	if err := daemon.Write(t.Context(), []jauge.Record{post("text", "first", 0)}); err != nil {
		t.Fatal(err)
	}
	for r, err := range reader.Read(t.Context(), jauge.Query{Measurement: jauge.SocialPost}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := daemon.Write(t.Context(), []jauge.Record{post("text", "second", 1)}); err != nil {
			t.Errorf("write while %v is read: %v", r, err)
		}
	}
	if n := count(t, reader, jauge.SocialPost); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if err := reader.Write(t.Context(), []jauge.Record{post("text", "third", 2)}); err != nil {
		t.Errorf("write by the other: %v", err)
	}
	if n := count(t, daemon, jauge.SocialPost); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s, err := sqlite.New(sqlite.Config{Path: file(t)}, nil, reg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := testutil.GatherAndCount(reg, "jauge_store_failures_total"); err != nil || n < 6*len(jauge.Reasons()) {
		t.Errorf("%d series of failures at the start: %v", n, err)
	}
	bad := post("text", "bad", 2)
	bad.Tags[0] = ""
	if err := s.Write(t.Context(), []jauge.Record{post("text", "p", 1), bad, post("text", "q", 3)}); err == nil {
		t.Error("a bad row was taken")
	}
	var want strings.Builder
	for _, k := range []struct {
		name, help string
		posts      int
	}{
		{"jauge_store_rows_rejected_total", "Rows that the store will never take.", 1},
		{"jauge_store_rows_written_total", "Rows that the store has made durable.", 2},
	} {
		fmt.Fprintf(&want, "# HELP %s %s\n# TYPE %s counter\n", k.name, k.help, k.name)
		for _, s := range jauge.Schemas() {
			n := 0
			if s.Measurement == jauge.SocialPost {
				n = k.posts
			}
			fmt.Fprintf(&want, "%s{measurement=%q,store=\"sqlite\"} %d\n", k.name, s.Measurement, n)
		}
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(want.String()), "jauge_store_rows_written_total", "jauge_store_rows_rejected_total")
	if err != nil {
		t.Error(err)
	}
}
