package state

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"jauge.dev/jauge"
)

var postStates = []jauge.PostState{jauge.PostLive, jauge.PostDeleted, jauge.PostHidden}

func stateCode(s jauge.PostState) int {
	for i, p := range postStates {
		if p == s {
			return i
		}
	}
	return 0
}

// seconds and millis cut an instant down to what is kept; zero stays 0.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Begin records that runs of these accounts begin, and takes posts published before ladderFrom off the re-read ladder.
// A zero at leaves LastRun as it is.
func (d *DB) Begin(ctx context.Context, refs []int64, at, ladderFrom time.Time) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		begin, prune := tx.StmtContext(ctx, d.stmts.begin), tx.StmtContext(ctx, d.stmts.prune)
		for _, ref := range refs {
			if _, err := begin.ExecContext(ctx, nanos(at), ref); err != nil {
				return err
			}
			if _, err := prune.ExecContext(ctx, ref, millis(ladderFrom)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record begin of runs: %w", err)
	}
	return nil
}

// Due gives an account's posts that are due by an instant, newest first, with their rank among its posts on the
// ladder. A zero instant takes every post on the ladder as due.
func (d *DB) Due(ctx context.Context, ref int64, by time.Time) ([]jauge.KnownPost, error) {
	limit := int64(math.MaxInt64)
	if !by.IsZero() {
		limit = by.Unix()
	}
	id, err := d.accountID(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("read due posts: %w", err)
	}
	rows, err := d.stmts.due.QueryContext(ctx, ref, limit)
	if err != nil {
		return nil, fmt.Errorf("read due posts: %w", d.note(err))
	}
	defer func() { _ = rows.Close() }()
	var out []jauge.KnownPost
	for rows.Next() {
		var p jauge.KnownPost
		var stem, published, read, due int64
		var state int
		if err := rows.Scan(&stem, &p.ID, &published, &read, &due, &state, &p.Rank); err != nil {
			return nil, fmt.Errorf("read due posts: %w", d.note(err))
		}
		p.ID = d.stems.join(stem, p.ID, id)
		p.PublishedAt, p.Read, p.Due = time.UnixMilli(published).UTC(), time.Unix(read, 0).UTC(), time.Unix(due, 0).UTC()
		p.State = postStates[state]
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read due posts: %w", d.note(err))
	}
	return out, nil
}

func (d *DB) accountID(ctx context.Context, ref int64) (string, error) {
	fs, err := d.Followed(ctx, []int64{ref})
	if err != nil {
		return "", err
	}
	if len(fs) == 0 || fs[0].Account.ID == "" {
		return "", fmt.Errorf("account %d is not known or not resolved", ref)
	}
	return fs[0].Account.ID, nil
}

// Advance records what an acknowledged page changes, in one transaction, and returns how many of its posts were new.
func (d *DB) Advance(ctx context.Context, a jauge.Advance) (int, error) {
	id, err := d.accountID(ctx, a.Ref)
	if err != nil {
		return 0, fmt.Errorf("record page: %w", err)
	}
	keys, err := d.stems.splitAll(ctx, d.write, a.Posts, id)
	if err != nil {
		return 0, fmt.Errorf("record page: %w", d.note(err))
	}
	added := 0
	err = d.tx(ctx, func(tx *sql.Tx) error {
		n, err := d.putPosts(ctx, tx, a.Ref, a.Posts, keys)
		if err != nil {
			return err
		}
		added = n
		if _, err := tx.StmtContext(ctx, d.stmts.observed).ExecContext(ctx, nanos(a.Observed), a.Handle, a.State,
			a.Ref); err != nil {
			return err
		}
		if !a.Complete {
			return nil
		}
		_, err = tx.StmtContext(ctx, d.stmts.complete).ExecContext(ctx, nanos(a.Began), nanos(a.Newest), a.Ref)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("record page: %w", err)
	}
	return added, nil
}

// putPosts writes posts of one account and counts the new ones. A known post keeps its publication instant.
func (d *DB) putPosts(
	ctx context.Context, tx *sql.Tx, ref int64, posts []jauge.KnownPost, keys []postKey,
) (added int, err error) {
	update, state := tx.StmtContext(ctx, d.stmts.updatePost), tx.StmtContext(ctx, d.stmts.updateState)
	insert := tx.StmtContext(ctx, d.stmts.insert)
	for i, p := range posts {
		k, code := keys[i], stateCode(p.State)
		if p.PublishedAt.IsZero() {
			if _, err := state.ExecContext(ctx, seconds(p.Read), code, ref, k.stem, k.rest); err != nil {
				return 0, err
			}
			continue
		}
		res, err := update.ExecContext(ctx, seconds(p.Read), seconds(p.Due), code, ref, k.stem, k.rest)
		if err != nil {
			return 0, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, err
		}
		if n > 0 {
			continue
		}
		if _, err := insert.ExecContext(ctx, ref, k.stem, k.rest, millis(p.PublishedAt), seconds(p.Read),
			seconds(p.Due), code); err != nil {
			return 0, err
		}
		added++
	}
	if added == 0 {
		return 0, nil
	}
	_, err = tx.StmtContext(ctx, d.stmts.count).ExecContext(ctx, added, ref)
	return added, err
}

// End records how runs ended, in one transaction. One with neither an instant nor a failure ended, and says nothing.
func (d *DB) End(ctx context.Context, outcomes []jauge.Outcome) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		ended, failed := tx.StmtContext(ctx, d.stmts.ended), tx.StmtContext(ctx, d.stmts.failed)
		left := tx.StmtContext(ctx, d.stmts.left)
		for _, o := range outcomes {
			var err error
			switch {
			case o.Failure.Reason == "" && o.At.IsZero():
				_, err = left.ExecContext(ctx, o.Ref)
			case o.Failure.Reason == "":
				_, err = ended.ExecContext(ctx, nanos(o.At), o.Ref)
			default:
				_, err = failed.ExecContext(ctx, o.Failure.Reason, o.Failure.Text, nanos(o.Failure.At), o.Ref)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record end of runs: %w", err)
	}
	return nil
}

// Known counts the known posts of each platform, deleted ones and those off the ladder included.
func (d *DB) Known(ctx context.Context) (map[jauge.Platform]int64, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT platform, posts FROM known")
	if err != nil {
		return nil, fmt.Errorf("count known posts: %w", d.note(err))
	}
	defer func() { _ = rows.Close() }()
	out := map[jauge.Platform]int64{}
	for rows.Next() {
		var p jauge.Platform
		var n int64
		if err := rows.Scan(&p, &n); err != nil {
			return nil, fmt.Errorf("count known posts: %w", d.note(err))
		}
		out[p] = n
	}
	return out, d.note(rows.Err())
}
