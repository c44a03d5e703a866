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

func drained(accounts, posts int) []jauge.Record {
	return storagetest.Drained(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), accounts, posts)
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
