package state

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

const accountColumns = `ref, platform, coalesce(id, ''), configured, handle, brand, competitor, since, removed, last_run,
	unfinished, last_success, last_complete, newest, observed, state, resolved, elsewhere, attempts, next_try,
	fail_reason, fail_text, fail_at, fail_count, substr(lookup, 1, 1) = char(1)`

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
		&f.Attempts, instant{&f.NextTry}, &f.Failure.Reason, &f.Failure.Text, instant{&f.Failure.At}, &f.Failure.Count, &f.ByID)
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

// Sync makes the memory follow exactly the given accounts (Platform, Handle or ID, Brand, Competitor) from the instant
// at on, in one transaction, and tells what changed. An account that is no longer listed keeps everything and bears the
// instant of its removal; one that is listed again goes on where it was.
//
// One that is listed with its ID needs no resolving, and its Handle is a label. Where it is listed by its handle too,
// it is one account, of the brand that stands with the handle, whatever the order.
func (d *DB) Sync(ctx context.Context, accounts []jauge.Account, at time.Time) ([]jauge.Change, error) {
	var changes []jauge.Change
	err := d.tx(ctx, func(tx *sql.Tx) error {
		s := syncing{ctx: ctx, tx: tx, at: at}
		s.byID = slices.ContainsFunc(accounts, func(a jauge.Account) bool { return a.ID != "" })
		if err := s.load(); err != nil {
			return err
		}
		for _, a := range accounts {
			if a.ID != "" {
				continue
			}
			if err := s.list(a); err != nil {
				return err
			}
		}
		for _, a := range accounts {
			if a.ID == "" {
				continue
			}
			if err := s.listByID(a); err != nil {
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
	byID    bool // some accounts are listed with their ids
	rows    map[rosterKey]*syncRow
	ids     map[jauge.Key]*syncRow // only if byID
	labels  map[rosterKey]*syncRow // accounts listed by id, by what config could call them
	order   []*syncRow
	changes []jauge.Change
}

// syncRow is the part of an account that Sync compares: 100,000 of them are held for the time of a call.
type syncRow struct {
	ref     int64
	account jauge.Account
	spelled string
	lookup  string
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
	s.rows, s.ids, s.labels = map[rosterKey]*syncRow{}, map[jauge.Key]*syncRow{}, map[rosterKey]*syncRow{}
	for rows.Next() {
		var r syncRow
		a := &r.account
		if err := rows.Scan(&r.ref, &a.Platform, &r.lookup, &a.ID, &a.Handle, &r.spelled, &a.Brand, &a.Competitor,
			&r.removed); err != nil {
			return err
		}
		s.rows[rosterKey{a.Platform, r.lookup}] = &r
		s.order = append(s.order, &r)
		s.index(&r)
	}
	return rows.Err()
}

// index lets a row be found by its id, and by what config could call it where it is listed by id.
func (s *syncing) index(r *syncRow) {
	a := &r.account
	if a.ID == "" {
		return
	}
	if s.byID {
		s.ids[a.Key()] = r
	}
	if !strings.HasPrefix(r.lookup, accountMark) {
		return
	}
	for _, label := range []string{a.Handle, r.spelled, a.ID} {
		k := rosterKey{a.Platform, lookupKey(label)}
		if other, taken := s.labels[k]; taken && other != r {
			s.labels[k] = nil // it could be either: resolving will tell
			continue
		}
		s.labels[k] = r
	}
}

func (s *syncing) change(kind jauge.ChangeKind, a jauge.Account, was string) {
	s.changes = append(s.changes, jauge.Change{Kind: kind, Account: a, Was: was})
}

func (s *syncing) list(a jauge.Account) error {
	key := rosterKey{a.Platform, lookupKey(a.Handle)}
	r := s.rows[key]
	if r == nil {
		r = s.labels[key]
	}
	switch {
	case r == nil:
		return s.add(key, a)
	case r.seen:
		return fmt.Errorf("account %s/%s is listed twice: list it once", a.Platform, a.Handle)
	}
	return s.take(r, a, key.lookup)
}

// listByID lists an account whose id is known.
func (s *syncing) listByID(a jauge.Account) error {
	lookup := accountMark + a.ID
	if r := s.ids[a.Key()]; r != nil {
		if r.seen { // listed by its handle too, or opened by two grants
			return nil
		}
		return s.take(r, a, lookup)
	}
	for _, name := range []string{a.Handle, a.ID} {
		r := s.rows[rosterKey{a.Platform, lookupKey(name)}]
		if r != nil && r.seen && r.account.ID == "" { // in config, and never resolved
			r.account.ID = a.ID
			s.ids[a.Key()] = r
			_, err := setResolved(s.ctx, s.tx, r.ref, a.ID, a.Handle, "", s.at)
			return err
		}
	}
	return s.add(rosterKey{a.Platform, lookup}, a)
}

// take lists an account that is known.
func (s *syncing) take(r *syncRow, a jauge.Account, lookup string) error {
	r.seen = true
	was, spelled := r.account, cmp.Or(a.Handle, a.ID)
	if !r.removed && was.Brand == a.Brand && was.Competitor == a.Competitor && r.spelled == spelled && r.lookup == lookup {
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
	_, err := s.tx.ExecContext(s.ctx, `UPDATE account SET configured = ?, lookup = ?, brand = ?, competitor = ?,
		removed = 0 WHERE ref = ?`, spelled, lookup, a.Brand, a.Competitor, r.ref)
	r.lookup = lookup
	return err
}

func (s *syncing) add(key rosterKey, a jauge.Account) error {
	var id, handle, resolved any = nil, "", 0
	spelled := a.Handle
	if a.ID != "" {
		id, handle, resolved, spelled = a.ID, a.Handle, nanos(s.at), cmp.Or(a.Handle, a.ID)
	}
	res, err := s.tx.ExecContext(s.ctx, `INSERT INTO account (platform, id, configured, lookup, handle, brand, competitor,
		since, resolved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, a.Platform, id, spelled, key.lookup, handle, a.Brand,
		a.Competitor, nanos(s.at), resolved)
	if err != nil {
		return err
	}
	ref, err := res.LastInsertId()
	if err != nil {
		return err
	}
	r := &syncRow{ref: ref, account: a, spelled: spelled, lookup: key.lookup, seen: true}
	s.rows[key] = r
	if a.ID != "" {
		s.ids[a.Key()] = r
	}
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
