package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"jauge.dev/jauge"
)

const (
	rebuildBatch = 2000
	// rebuildRecent is how far back accounts are looked for that have no post at all.
	rebuildRecent = 48 * time.Hour
	// rebuildRows bounds how many readings of an account are looked at for the last complete one.
	rebuildRows = 200
)

// ReadFunc reads rows of the store, as every store's Read does.
type ReadFunc func(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error]

// Rebuild fills the memory from social_post and social_account. What the memory already holds and is newer stays, so
// it may run before or after Sync, beside collecting, and again after it was cut short; until it has succeeded
// NeedsRebuild stays true.
//
// An account of the store that the memory does not follow comes in as taken out of config at its last reading; Sync
// puts back those that config lists. It is found by its handle as the platform spelled it last, else when its handle
// is resolved. Backfill cursors are not in the store: a backfill starts over, and doubles nothing.
func (d *DB) Rebuild(ctx context.Context, read func(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error]) error {
	r := rebuilding{db: d, read: read, refs: map[jauge.Key]int64{}, made: map[int64]bool{}, placed: map[placed]bool{}}
	for _, step := range []func(context.Context) error{r.posts, r.recent, r.accounts, r.finish} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("rebuild state from the store: %w", d.note(err))
		}
	}
	d.rebuild.Store(false)
	d.log.Info("scheduler's memory rebuilt from the store", "accounts", len(r.refs), "posts", r.count)
	return nil
}

type placed struct {
	ref   int64
	brand string
}

type rebuilding struct {
	db     *DB
	read   ReadFunc
	refs   map[jauge.Key]int64
	made   map[int64]bool // accounts that this rebuild brought in
	placed map[placed]bool
	count  int
}

// posts reads social_post once, from end to end, in batches of one transaction each.
func (r *rebuilding) posts(ctx context.Context) error {
	batch := make([]jauge.Record, 0, rebuildBatch)
	q := jauge.Query{
		Measurement: jauge.SocialPost, Columns: []string{"post_id", "published_at", "observed_at", "state"},
	}
	for rec, err := range r.read(ctx, q) {
		if err != nil {
			return err
		}
		if batch = append(batch, rec); len(batch) == rebuildBatch {
			if err := r.put(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return r.put(ctx, batch)
}

func (r *rebuilding) put(ctx context.Context, batch []jauge.Record) error {
	r.count += len(batch)
	keys := make([]postKey, len(batch))
	for i := range batch {
		one := []jauge.KnownPost{{ID: batch[i].Text("post_id")}}
		k, err := r.db.stems.splitAll(ctx, r.db.write, one, batch[i].Tag("account"))
		if err != nil {
			return err
		}
		keys[i] = k[0]
	}
	return r.db.tx(ctx, func(tx *sql.Tx) error {
		for i := range batch {
			if err := r.putOne(ctx, tx, &batch[i], keys[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *rebuilding) putOne(ctx context.Context, tx *sql.Tx, rec *jauge.Record, k postKey) error {
	published, ok := rec.Int("published_at")
	if k.rest == "" || !ok {
		return nil
	}
	ref, err := r.account(ctx, tx, rec)
	if err != nil {
		return err
	}
	observed, _ := rec.Int("observed_at")
	state := jauge.PostState(rec.Text("state"))
	at, seen := fromNanos(published), fromNanos(observed)
	var due int64
	if state != jauge.PostDeleted {
		if r.db.cfg.NextDue != nil {
			due = seconds(r.db.cfg.NextDue(at, seen))
		} else {
			due = max(1, seen.Unix())
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO post (account, stem, id, published, read, due, state)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, stem, id) DO UPDATE SET read = excluded.read,
		due = excluded.due, state = excluded.state WHERE excluded.read > post.read`,
		ref, k.stem, k.rest, millis(at), seconds(seen), due, stateCode(state))
	return err
}

// account finds or makes the account of a row, and notes the brand that the row bears.
func (r *rebuilding) account(ctx context.Context, tx *sql.Tx, rec *jauge.Record) (int64, error) {
	k := jauge.Key{Platform: jauge.Platform(rec.Tag("platform")), Account: rec.Tag("account")}
	ref, ok := r.refs[k]
	if !ok {
		err := tx.QueryRowContext(ctx, "SELECT ref FROM account WHERE platform = ? AND id = ?", k.Platform, k.Account).
			Scan(&ref)
		if errors.Is(err, sql.ErrNoRows) {
			ref, err = r.makeAccount(ctx, tx, k, rec.Tag("brand"))
		}
		if err != nil {
			return 0, err
		}
		r.refs[k] = ref
	}
	p := placed{ref, rec.Tag("brand")}
	if r.placed[p] {
		return ref, nil
	}
	r.placed[p] = true
	return ref, placeBrand(ctx, tx, ref, p.brand, false)
}

func (r *rebuilding) makeAccount(ctx context.Context, tx *sql.Tx, k jauge.Key, brand string) (int64, error) {
	// The spelling is not known yet; one that no handle can have keeps its place.
	res, err := tx.ExecContext(ctx, `INSERT INTO account (platform, id, configured, lookup, brand, removed)
		VALUES (?, ?, ?, ?, ?, 1)`, k.Platform, k.Account, k.Account, accountMark+k.Account, brand)
	if err != nil {
		return 0, err
	}
	ref, err := res.LastInsertId()
	r.made[ref] = true
	return ref, err
}

// recent finds accounts without posts: those that were read in the last two days.
func (r *rebuilding) recent(ctx context.Context) error {
	q := jauge.Query{
		Measurement: jauge.SocialAccount, Match: map[string][]string{"period": {string(jauge.PeriodInstant)}},
		From: time.Now().Add(-rebuildRecent), Columns: []string{"observed_at"},
	}
	for rec, err := range r.read(ctx, q) {
		if err != nil {
			return err
		}
		k := jauge.Key{Platform: jauge.Platform(rec.Tag("platform")), Account: rec.Tag("account")}
		if ref, ok := r.refs[k]; ok && r.placed[placed{ref, rec.Tag("brand")}] {
			continue
		}
		if err := r.db.tx(ctx, func(tx *sql.Tx) error {
			_, err := r.account(ctx, tx, &rec)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// last is what an account's newest rows tell.
type last struct {
	handle, brand string
	state         jauge.AccountState
	competitor    bool
	observed      int64
	complete      int64 // when the last complete reading began
}

func (r *rebuilding) accounts(ctx context.Context) error {
	for k, ref := range r.refs {
		l, err := r.newest(ctx, k)
		if err != nil {
			return err
		}
		if err := r.db.tx(ctx, func(tx *sql.Tx) error { return r.fill(ctx, tx, k, ref, l) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *rebuilding) newest(ctx context.Context, k jauge.Key) (l last, err error) {
	q := jauge.Query{
		Measurement: jauge.SocialAccount, Desc: true, Limit: rebuildRows,
		Match: map[string][]string{
			"platform": {string(k.Platform)}, "account": {k.Account}, "period": {string(jauge.PeriodInstant)},
		},
		Columns: []string{"handle", "account_state", "competitor", "complete_reading", "observed_at"},
	}
	for rec, err := range r.read(ctx, q) {
		if err != nil {
			return l, err
		}
		if l.observed == 0 {
			l.handle, l.state = rec.Text("handle"), jauge.AccountState(rec.Text("account_state"))
			l.competitor, l.brand = rec.Flag("competitor"), rec.Tag("brand")
			l.observed, _ = rec.Int("observed_at")
		}
		if rec.Flag("complete_reading") {
			l.complete = rec.Time
			break
		}
	}
	return l, nil
}

func (r *rebuilding) fill(ctx context.Context, tx *sql.Tx, k jauge.Key, ref int64, l last) error {
	// Everything published before the last complete reading began was seen by it at the latest.
	_, err := tx.ExecContext(ctx, `UPDATE account SET observed = max(observed, ?1), last_run = max(last_run, ?1),
		last_success = max(last_success, ?2), last_complete = max(last_complete, ?2),
		newest = max(newest, (SELECT coalesce(max(published), 0) * 1000000 FROM post
			WHERE account = ?3 AND published * 1000000 <= ?2)) WHERE ref = ?3`, l.observed, l.complete, ref)
	if err != nil || !r.made[ref] {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE account SET handle = ?, state = ?, competitor = ?, removed = ?,
		brand = CASE ?5 WHEN '' THEN brand ELSE ?5 END WHERE ref = ?6`,
		l.handle, l.state, l.competitor, max(1, l.observed), l.brand, ref)
	if err != nil || l.handle == "" {
		return err
	}
	return r.name(ctx, tx, k, ref, l)
}

// name gives an account that the rebuild brought in the spelling by which config finds it.
func (r *rebuilding) name(ctx context.Context, tx *sql.Tx, k jauge.Key, ref int64, l last) error {
	lookup := lookupKey(l.handle)
	other, err := scanAccount(tx.QueryRowContext(ctx, "SELECT "+accountColumns+
		" FROM account WHERE platform = ? AND lookup = ?", k.Platform, lookup))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err = tx.ExecContext(ctx, "UPDATE account SET configured = ?, lookup = ? WHERE ref = ?", l.handle, lookup, ref)
		return err
	case err != nil:
		return err
	case other.Account.ID != "" || !other.Removed.IsZero():
		return nil // two accounts had the handle, one after the other: config finds the other, an id both
	}
	old, err := accountByRef(ctx, tx, ref)
	if err != nil {
		return err
	}
	_, err = takeOver(ctx, tx, other, old, l.handle, time.Time{})
	return err
}

func (r *rebuilding) finish(ctx context.Context) error {
	return r.db.tx(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{
			"DELETE FROM known",
			`INSERT INTO known (platform, posts) SELECT a.platform, count(*) FROM post p JOIN account a ON a.ref = p.account
				GROUP BY a.platform`,
			"DELETE FROM kv WHERE key = '" + rebuildKey + "'",
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}
