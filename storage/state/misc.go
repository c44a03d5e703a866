package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"jauge.dev/jauge"
)

// rebuildKey is there while a new file waits for Rebuild.
const rebuildKey = "rebuild_pending"

// Get reads a small value; ok is false where there is none.
func (d *DB) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = d.read.QueryRowContext(ctx, "SELECT value FROM kv WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", key, d.note(err))
	}
	return value, true, nil
}

// Set keeps a small value.
func (d *DB) Set(ctx context.Context, key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	_, err := d.write.ExecContext(ctx, `INSERT INTO kv (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	if err != nil {
		return fmt.Errorf("keep %s: %w", key, d.note(err))
	}
	return nil
}

// Backfill reads how far an account's backfill came; ok is false where none was begun.
func (d *DB) Backfill(ctx context.Context, ref int64) (m jauge.BackfillMark, ok bool, err error) {
	err = d.read.QueryRowContext(ctx, "SELECT since, cursor, done, pages FROM backfill WHERE account = ?", ref).
		Scan(instant{&m.Since}, &m.Cursor, &m.Done, &m.Pages)
	if errors.Is(err, sql.ErrNoRows) {
		return jauge.BackfillMark{}, false, nil
	}
	if err != nil {
		return jauge.BackfillMark{}, false, fmt.Errorf("read backfill cursor: %w", d.note(err))
	}
	return m, true, nil
}

// SaveBackfill keeps how far an account's backfill came.
func (d *DB) SaveBackfill(ctx context.Context, ref int64, m jauge.BackfillMark) error {
	_, err := d.write.ExecContext(ctx, `INSERT INTO backfill (account, since, cursor, done, pages) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET since = excluded.since, cursor = excluded.cursor, done = excluded.done,
		pages = excluded.pages`, ref, nanos(m.Since), m.Cursor, m.Done, m.Pages)
	if err != nil {
		return fmt.Errorf("keep backfill cursor: %w", d.note(err))
	}
	return nil
}
