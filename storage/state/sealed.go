package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"

	"jauge.dev/jauge"
)

// LoadSealed reads a record; one that is not there gives a *jauge.Error with ReasonNotFound.
func (d *DB) LoadSealed(ctx context.Context, key string) (jauge.Sealed, error) {
	r := jauge.Sealed{Key: key}
	err := d.read.QueryRowContext(ctx, "SELECT rev, value FROM sealed WHERE key = ?", key).Scan(&r.Rev, &r.Value)
	if errors.Is(err, sql.ErrNoRows) {
		return jauge.Sealed{}, &jauge.Error{Op: "load sealed record", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("there is no %s", key)}
	}
	if err != nil {
		return jauge.Sealed{}, fmt.Errorf("load sealed record %s: %w", key, d.note(err))
	}
	return r, nil
}

// SaveSealed makes (rev 0) or replaces (the rev that was read) a record and returns its new revision. The record is on
// the disk when it returns without an error. With jauge.ErrStale nothing was written; after any other error it is not
// known whether it was.
func (d *DB) SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if err := jauge.CheckSealed(key, value); err != nil {
		return 0, err
	}
	if value == nil {
		value = []byte{}
	}
	var next uint64
	err := d.sealing(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "UPDATE sealed_rev SET last = last + 1 RETURNING last").Scan(&next); err != nil {
			return err
		}
		if rev == 0 {
			return changed(tx.ExecContext(ctx, "INSERT INTO sealed (key, rev, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
				key, next, value))
		}
		return changed(tx.ExecContext(ctx, "UPDATE sealed SET rev = ?, value = ? WHERE key = ? AND rev = ?", next, value, key, rev))
	})
	if err != nil {
		return 0, fmt.Errorf("save sealed record %s: %w", key, err)
	}
	return next, nil
}

// DropSealed removes a record that is at revision rev; it is gone from the disk when it returns without an error. A
// record that is not there gives an error that is both jauge.ErrStale and of ReasonNotFound.
func (d *DB) DropSealed(ctx context.Context, key string, rev uint64) error {
	err := d.sealing(ctx, func(tx *sql.Tx) error {
		err := changed(tx.ExecContext(ctx, "DELETE FROM sealed WHERE key = ? AND rev = ?", key, rev))
		if !errors.Is(err, jauge.ErrStale) {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sealed WHERE key = ?", key).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return &jauge.Error{Op: "find it", Reason: jauge.ReasonNotFound, Err: jauge.ErrStale}
		}
		return jauge.ErrStale
	})
	if err != nil {
		return fmt.Errorf("drop sealed record %s: %w", key, err)
	}
	return nil
}

// listed is how many records are read at once.
const listed = 64

// Sealed lists the records whose keys begin with prefix, in the order of their keys, each as it is when it is read. The
// first error is the last thing that it gives. No connection is held while a record is handed out.
func (d *DB) Sealed(ctx context.Context, prefix string) iter.Seq2[jauge.Sealed, error] {
	return func(yield func(jauge.Sealed, error) bool) {
		after := ""
		for {
			part, err := d.sealedPart(ctx, prefix, after)
			for _, r := range part {
				if !yield(r, nil) {
					return
				}
				after = r.Key
			}
			if err != nil {
				yield(jauge.Sealed{}, fmt.Errorf("list sealed records: %w", d.note(err)))
				return
			}
			if len(part) < listed {
				return
			}
		}
	}
}

// sealedPart reads the next records after a key. Keys are ASCII, so that everything that begins with prefix is below
// prefix and DEL.
func (d *DB) sealedPart(ctx context.Context, prefix, after string) ([]jauge.Sealed, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT key, rev, value FROM sealed WHERE key >= ?1 AND key < ?1 || x'7f' AND key > ?2 "+
		"ORDER BY key LIMIT ?3", prefix, after, listed)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []jauge.Sealed
	for rows.Next() {
		var r jauge.Sealed
		if err := rows.Scan(&r.Key, &r.Rev, &r.Value); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// changed gives jauge.ErrStale where a statement changed no row.
func changed(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return jauge.ErrStale
	}
	return err
}

// sealing runs f in one write transaction that is on the disk when it returns.
func (d *DB) sealing(ctx context.Context, f func(*sql.Tx) error) error { return d.txOn(ctx, d.seal, f) }

// syncDir makes the names of the file and of its log durable: what is in them is of no use without.
func (d *DB) syncDir() error {
	if runtime.GOOS == "windows" { // directories cannot be synchronised there
		return nil
	}
	dir, err := os.Open(filepath.Dir(d.cfg.Path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// salvage takes the sealed records out of a file that was put aside: unlike all else here they cannot be read again
// from anywhere. What is damaged among them their owner notices, since it cannot be opened.
func (d *DB) salvage(ctx context.Context) {
	if d.aside == "" {
		return
	}
	n, err := d.salvaged(ctx)
	switch {
	case err != nil:
		d.log.Error("accounts that were connected may be lost with the damaged memory: connect again those that are missing",
			"aside", d.aside, "saved", n, "error", err)
	case n > 0:
		d.log.Info("sealed records were saved from the damaged memory", "aside", d.aside, "saved", n)
	}
}

func (d *DB) salvaged(ctx context.Context) (n int, err error) {
	old, err := sql.Open("sqlite", d.dsnOf(d.aside, 64, reading))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	var records []jauge.Sealed
	last, err := leftOver(ctx, old, &records)
	if err != nil && len(records) == 0 {
		return 0, err
	}
	werr := d.sealing(ctx, func(tx *sql.Tx) error {
		for _, r := range records {
			last = max(last, r.Rev)
			if _, err := tx.ExecContext(ctx, "INSERT INTO sealed (key, rev, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
				r.Key, r.Rev, r.Value); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE sealed_rev SET last = max(last, ?)", last)
		return err
	})
	if werr != nil {
		return 0, errors.Join(err, werr)
	}
	return len(records), err
}

// leftOver reads what can be read of a damaged file's sealed records, and the revision that was given last. A file from
// before there were any has none, and that is no error.
func leftOver(ctx context.Context, old *sql.DB, records *[]jauge.Sealed) (last uint64, err error) {
	var version int
	if err := old.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil || version < sealedVersion {
		return 0, err
	}
	rerr := old.QueryRowContext(ctx, "SELECT last FROM sealed_rev").Scan(&last)
	rows, err := old.QueryContext(ctx, "SELECT key, rev, value FROM sealed")
	if err != nil {
		return last, errors.Join(rerr, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r jauge.Sealed
		if err := rows.Scan(&r.Key, &r.Rev, &r.Value); err != nil {
			return last, errors.Join(rerr, err)
		}
		*records = append(*records, r)
	}
	return last, errors.Join(rerr, rows.Err())
}
