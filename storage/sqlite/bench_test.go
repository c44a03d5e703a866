package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/storagetest"
)

// drained makes rows like those that a drain writes, account by account: a post's row, its history row, and a daily
// row and some KPIs for every tenth of them.
func drained(accounts, posts int) []jauge.Record {
	base := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var out []jauge.Record
	for a := range accounts {
		id := fmt.Sprintf("did:plc:%024d", a)
		for p := range posts {
			at := base.Add(time.Duration(p)*time.Hour + time.Duration(a*1_000_003+p))
			seen := base.AddDate(0, 0, 20)
			uri := fmt.Sprintf("at://%s/app.bsky.feed.post/%013d", id, p)
			counters := []any{"likes", p % 50, "comments", p % 7, "shares", p % 11, "reposts", p % 5, "quotes", p % 3, "saves", 0}
			out = append(out,
				storagetest.Row(jauge.SocialPost, at, []string{"acme", "bluesky", id, "text"}, append([]any{
					"post_id", uri, "permalink", "https://bsky.app/profile/" + id + "/post/" + uri[len(uri)-13:],
					"excerpt", strings.Repeat("some words of a post ", 5), "language", "fr", "published_at", at,
					"observed_at", seen, "state", "live", "final", false,
				}, counters...)...),
				storagetest.Row(jauge.SocialPostHistory, seen.Add(time.Duration(p)), []string{"acme", "bluesky", id},
					append([]any{"post_id", uri, "state", "live"}, counters...)...))
			if p%10 != 0 {
				continue
			}
			day := base.AddDate(0, 0, p/10)
			out = append(out, storagetest.Row(jauge.SocialPostDaily, day, []string{"acme", "bluesky", id, "text"},
				append([]any{"day", day.Format(time.DateOnly), "final", true, "estimated", false, "posts_published", 3}, counters...)...))
			for _, k := range []string{"likes", "comments", "shares"} {
				out = append(out, storagetest.Row(jauge.SocialKPI, day, []string{"acme", "bluesky", id, k, "day"},
					"day", day.Format(time.DateOnly), "value", 3, "estimated", false, "complete", true, "version", "1"))
			}
		}
	}
	return out
}

const batch = 5000

// BenchmarkRaw writes the rows as anybody would: prepared upserts through database/sql, one transaction a batch.
func BenchmarkRaw(b *testing.B) { run(b, rawWrite(b)) }

// BenchmarkStore writes the same rows through the store.
func BenchmarkStore(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "jauge.db"))
	run(b, func(rows []jauge.Record) error { return s.Write(b.Context(), rows) })
}

func run(b *testing.B, write func([]jauge.Record) error) {
	b.Helper()
	rows := drained(100, 200)
	if err := write(drained(1, 10)); err != nil {
		b.Fatal(err)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := 0; i < len(rows); i += batch {
			if err := write(rows[i:min(i+batch, len(rows))]); err != nil {
				b.Fatal(err)
			}
		}
		n += len(rows)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(n), "s/Mrow")
}

func rawWrite(b *testing.B) func([]jauge.Record) error {
	b.Helper()
	path := filepath.Join(b.TempDir(), "raw.db")
	s := open(b, path)
	if err := s.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+
		"?_txlock=immediate&_synchronous=FULL&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	return func(rows []jauge.Record) error {
		stmts := map[*jauge.Schema]*sql.Stmt{}
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after a commit it does nothing
		for i := range rows {
			r := &rows[i]
			if stmts[r.Schema] == nil { // all rows of a measurement have the same fields here
				if stmts[r.Schema], err = tx.Prepare(rawUpsert(r)); err != nil {
					return err
				}
			}
			if _, err := stmts[r.Schema].Exec(rawArgs(r)...); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
}

func rawUpsert(r *jauge.Record) string {
	key := append(append([]string{}, r.Schema.Tags...), "time")
	names, set := key, []string{}
	for _, v := range r.Values {
		n := r.Schema.Columns[v.Col].Name
		names, set = append(names, n), append(set, n+" = excluded."+n)
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (%s) DO UPDATE SET %s", r.Schema.Measurement,
		strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1), strings.Join(key, ", "), strings.Join(set, ", "))
}

func rawArgs(r *jauge.Record) []any {
	args := make([]any, 0, len(r.Tags)+1+len(r.Values))
	for _, t := range r.Tags {
		args = append(args, t)
	}
	args = append(args, r.Time)
	for _, v := range r.Values {
		switch r.Schema.Columns[v.Col].Type {
		case jauge.Float:
			args = append(args, v.Float())
		case jauge.Instant, jauge.Integer:
			args = append(args, v.Int())
		case jauge.Text:
			args = append(args, v.Str)
		case jauge.Flag:
			args = append(args, v.Bool())
		}
	}
	return args
}
