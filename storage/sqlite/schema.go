package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

//go:embed migrations/*.sql
var migrations embed.FS

// leading are the tags by which the pipeline asks; with time after them every such read is one range of the key.
var leading = []string{"platform", "account", "period", "dimension"}

// keyOf gives the columns of a table's primary key in the order of its index: what reads name, then time (so that
// rows come in order), then the other tags.
func keyOf(s *jauge.Schema) []string {
	var key []string
	for _, t := range leading {
		if s.Tag(t) >= 0 {
			key = append(key, t)
		}
	}
	key = append(key, "time")
	for _, t := range s.Tags {
		if !slices.Contains(key, t) {
			key = append(key, t)
		}
	}
	return key
}

// createTable gives the statements that make a measurement's table.
func createTable(s *jauge.Schema) []string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (\n", quote(string(s.Measurement)))
	for _, t := range s.Tags {
		fmt.Fprintf(&b, "    %s TEXT NOT NULL,\n", quote(t))
	}
	b.WriteString("    \"time\" INTEGER NOT NULL,\n")
	for _, c := range s.Columns {
		fmt.Fprintf(&b, "    %s,\n", columnDef(c))
	}
	fmt.Fprintf(&b, "    PRIMARY KEY (%s)\n) WITHOUT ROWID", list(keyOf(s)))
	out := []string{b.String()}
	if s.Measurement == jauge.SocialPost {
		out = append(out, `CREATE UNIQUE INDEX social_post_by_id ON social_post ("platform", "account", "post_id")`)
	}
	return out
}

func columnDef(c jauge.Column) string {
	t := "REAL"
	switch c.Type {
	case jauge.Float:
	case jauge.Instant, jauge.Integer, jauge.Flag:
		t = "INTEGER"
	case jauge.Text:
		t = "TEXT"
	}
	return quote(c.Name) + " " + t
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

// migrate brings the database up to date in one transaction, and writes nothing where it is: readers of other
// processes come through here too.
func migrate(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	_, todo, err := pending(ctx, db)
	if err != nil || len(todo) == 0 {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin the migration: %w", err)
	}
	defer func() { _ = tx.Rollback() }()   // after a commit it does nothing
	version, todo, err := pending(ctx, tx) // again: another process may have been faster
	if err != nil {
		return err
	}
	for _, stmt := range todo {
		if _, err := tx.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("bring the tables up to date: %w", err)
		}
	}
	for v := version + 1; v <= jauge.SchemaVersion; v++ {
		_, err := tx.ExecContext(ctx, "INSERT INTO jauge_schema (version, applied_at) VALUES (?, ?)", v, time.Now().UnixNano())
		if err != nil {
			return fmt.Errorf("keep the schema version: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit the migration: %w", err)
	}
	log.InfoContext(ctx, "brought the tables of the store up to date",
		"from_version", version, "to_version", jauge.SchemaVersion, "statements", len(todo))
	return nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// pending finds the version of the database and the statements that it still needs: migrations, tables, columns.
func pending(ctx context.Context, db querier) (version int, todo []string, err error) {
	have, err := tables(ctx, db)
	if err != nil {
		return 0, nil, err
	}
	if have["jauge_schema"] != nil {
		found, err := strs(ctx, db, "SELECT CAST(coalesce(max(version), 0) AS TEXT) FROM jauge_schema")
		if err != nil {
			return 0, nil, fmt.Errorf("read the schema version: %w", err)
		}
		if _, err := fmt.Sscan(found[0], &version); err != nil {
			return 0, nil, fmt.Errorf("read the schema version %q: %w", found[0], err)
		}
	}
	if version > jauge.SchemaVersion {
		return 0, nil, &jauge.Error{
			Op: "check the schema version", Reason: jauge.ReasonBadRequest,
			Err:  fmt.Errorf("the database has version %d, this program knows %d", version, jauge.SchemaVersion),
			Hint: "it was written by a newer jauge: run that one, or name another file",
		}
	}
	if todo, err = migrationsAfter(version); err != nil {
		return 0, nil, err
	}
	for _, s := range jauge.Schemas() {
		cols := have[string(s.Measurement)]
		if cols == nil {
			todo = append(todo, createTable(s)...)
			continue
		}
		for _, c := range s.Columns {
			if !slices.Contains(cols, c.Name) {
				todo = append(todo, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s", quote(string(s.Measurement)), columnDef(c)))
			}
		}
	}
	return version, todo, nil
}

// migrationsAfter gives the embedded migrations above a version; their names begin with the version.
func migrationsAfter(version int) ([]string, error) {
	var out []string
	for v := version + 1; v <= jauge.SchemaVersion; v++ {
		names, err := fs.Glob(migrations, fmt.Sprintf("migrations/%04d_*.sql", v))
		if err != nil || len(names) != 1 {
			return nil, errors.Join(fmt.Errorf("%d migrations to version %d, want 1", len(names), v), err)
		}
		text, err := migrations.ReadFile(names[0])
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		out = append(out, string(text))
	}
	return out, nil
}

// tables lists the tables with their columns.
func tables(ctx context.Context, db querier) (map[string][]string, error) {
	names, err := strs(ctx, db, "SELECT name FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	out := make(map[string][]string, len(names))
	for _, n := range names {
		if out[n], err = strs(ctx, db, "SELECT name FROM pragma_table_info(?)", n); err != nil {
			return nil, fmt.Errorf("list columns of %s: %w", n, err)
		}
	}
	return out, nil
}

func strs(ctx context.Context, db querier, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
