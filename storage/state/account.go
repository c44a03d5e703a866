package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"jauge.dev/jauge"
)

const accountColumns = `ref, platform, coalesce(id, ''), configured, handle, brand, competitor, since, removed, last_run,
	unfinished, last_success, last_complete, newest, observed, state, resolved, elsewhere, attempts, next_try,
	fail_reason, fail_text, fail_at, fail_count`

// instant reads and writes an instant column: Unix nanoseconds, 0 for never.
type instant struct{ t *time.Time }

// Scan reads the column.
func (i instant) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("instant column holds %T", src)
	}
	*i.t = fromNanos(n)
	return nil
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func scanAccount(row interface{ Scan(...any) error }) (f jauge.Followed, err error) {
	a := &f.Account
	err = row.Scan(&f.Ref, &a.Platform, &a.ID, &f.Configured, &a.Handle, &a.Brand, &a.Competitor,
		instant{&f.Since}, instant{&f.Removed}, instant{&f.LastRun}, &f.Unfinished, instant{&f.LastSuccess},
		instant{&f.LastComplete}, instant{&f.Newest}, instant{&f.Observed}, &f.State, instant{&f.Resolved}, &f.Elsewhere,
		&f.Attempts, instant{&f.NextTry}, &f.Failure.Reason, &f.Failure.Text, instant{&f.Failure.At}, &f.Failure.Count)
	return f, err
}

// Followed returns the accounts behind the keys, in their order; a key that nobody has is left out.
func (d *DB) Followed(ctx context.Context, refs []int64) ([]jauge.Followed, error) {
	out := make([]jauge.Followed, 0, len(refs))
	for _, ref := range refs {
		f, err := scanAccount(d.stmts.followed.QueryRowContext(ctx, ref))
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read followed account: %w", d.note(err))
		}
		out = append(out, f)
	}
	return out, nil
}

// Roster gives every account that is or was followed, in the order of their keys. An error is the last value. Writing
// is allowed meanwhile.
func (d *DB) Roster(ctx context.Context) iter.Seq2[jauge.Followed, error] {
	return func(yield func(jauge.Followed, error) bool) {
		rows, err := d.read.QueryContext(ctx, "SELECT "+accountColumns+" FROM account ORDER BY ref")
		if err != nil {
			yield(jauge.Followed{}, fmt.Errorf("read roster: %w", d.note(err)))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			f, err := scanAccount(rows)
			if err != nil {
				yield(jauge.Followed{}, fmt.Errorf("read roster: %w", d.note(err)))
				return
			}
			if !yield(f, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(jauge.Followed{}, fmt.Errorf("read roster: %w", d.note(err)))
		}
	}
}

// lookupKey is what two spellings of one handle share.
func lookupKey(handle string) string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimSpace(handle), "@"))
}

// Sync makes the memory follow exactly the given accounts (Platform, Handle, Brand, Competitor; ID is ignored) from
// the instant at on, in one transaction, and tells what changed. An account that is no longer listed keeps everything
// and bears the instant of its removal; one that is listed again goes on where it was.
func (d *DB) Sync(ctx context.Context, accounts []jauge.Account, at time.Time) ([]jauge.Change, error) {
	var changes []jauge.Change
	err := d.tx(ctx, func(tx *sql.Tx) error {
		s := syncing{ctx: ctx, tx: tx, at: at}
		if err := s.load(); err != nil {
			return err
		}
		for _, a := range accounts {
			if err := s.list(a); err != nil {
				return err
			}
		}
		if err := s.removeRest(); err != nil {
			return err
		}
		changes = s.changes
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sync followed accounts: %w", err)
	}
	return changes, nil
}

type rosterKey struct {
	platform jauge.Platform
	lookup   string
}

type syncing struct {
	ctx     context.Context //nolint:containedctx // lives for one call of Sync
	tx      *sql.Tx
	at      time.Time
	rows    map[rosterKey]*syncRow
	order   []*syncRow
	changes []jauge.Change
}

// syncRow is the part of an account that Sync compares: 100,000 of them are held for the time of a call.
type syncRow struct {
	ref     int64
	account jauge.Account
	spelled string
	removed bool
	seen    bool
}

func (s *syncing) load() error {
	rows, err := s.tx.QueryContext(s.ctx, `SELECT ref, platform, lookup, coalesce(id, ''), handle, configured, brand,
		competitor, removed <> 0 FROM account ORDER BY ref`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	s.rows = map[rosterKey]*syncRow{}
	for rows.Next() {
		var r syncRow
		var lookup string
		a := &r.account
		if err := rows.Scan(&r.ref, &a.Platform, &lookup, &a.ID, &a.Handle, &r.spelled, &a.Brand, &a.Competitor,
			&r.removed); err != nil {
			return err
		}
		s.rows[rosterKey{a.Platform, lookup}] = &r
		s.order = append(s.order, &r)
	}
	return rows.Err()
}

func (s *syncing) change(kind jauge.ChangeKind, a jauge.Account, was string) {
	s.changes = append(s.changes, jauge.Change{Kind: kind, Account: a, Was: was})
}

func (s *syncing) list(a jauge.Account) error {
	key := rosterKey{a.Platform, lookupKey(a.Handle)}
	r := s.rows[key]
	if r == nil {
		return s.add(key, a)
	}
	if r.seen {
		return fmt.Errorf("account %s/%s is listed twice: list it once", a.Platform, a.Handle)
	}
	r.seen = true
	was := r.account
	if !r.removed && was.Brand == a.Brand && was.Competitor == a.Competitor && r.spelled == a.Handle {
		return nil
	}
	now := was
	now.Brand, now.Competitor = a.Brand, a.Competitor
	if now.Handle == "" {
		now.Handle = a.Handle
	}
	if r.removed {
		s.change(jauge.ChangeBack, now, "")
	}
	if was.Brand != a.Brand {
		if err := placeBrand(s.ctx, s.tx, r.ref, a.Brand, was.ID == ""); err != nil {
			return err
		}
		s.change(jauge.ChangeBrand, now, was.Brand)
	}
	if was.Competitor != a.Competitor {
		s.change(jauge.ChangeRival, now, "")
	}
	_, err := s.tx.ExecContext(s.ctx, `UPDATE account SET configured = ?, brand = ?, competitor = ?, removed = 0
		WHERE ref = ?`, a.Handle, a.Brand, a.Competitor, r.ref)
	return err
}

func (s *syncing) add(key rosterKey, a jauge.Account) error {
	res, err := s.tx.ExecContext(s.ctx, `INSERT INTO account (platform, configured, lookup, brand, competitor, since)
		VALUES (?, ?, ?, ?, ?, ?)`, a.Platform, a.Handle, key.lookup, a.Brand, a.Competitor, nanos(s.at))
	if err != nil {
		return err
	}
	ref, err := res.LastInsertId()
	if err != nil {
		return err
	}
	s.rows[key] = &syncRow{ref: ref, account: a, spelled: a.Handle, seen: true}
	s.change(jauge.ChangeAdded, a, "")
	return placeBrand(s.ctx, s.tx, ref, a.Brand, false)
}

func (s *syncing) removeRest() error {
	for _, r := range s.order {
		if r.seen || r.removed {
			continue
		}
		if _, err := s.tx.ExecContext(s.ctx, "UPDATE account SET removed = ? WHERE ref = ?", nanos(s.at), r.ref); err != nil {
			return err
		}
		if r.account.Handle == "" {
			r.account.Handle = r.spelled
		}
		s.change(jauge.ChangeRemoved, r.account, "")
	}
	return nil
}
