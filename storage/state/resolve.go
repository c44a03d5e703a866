package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"jauge.dev/jauge"
)

// Resolved records that an account's handle leads to an id, read at an instant, and returns the account as it is then.
//
// An account that has an id keeps it: where the handle now leads elsewhere, only Elsewhere is set. Where the id is
// that of an account taken out of config (its handle was changed there, say), the old entry takes over the new
// spelling and goes on: the answer then has another Ref. Where it is that of an account that is followed under another
// handle, the answer is a *jauge.Error with ReasonBadRequest; one that is listed by its id alone is taken over likewise.
func (d *DB) Resolved(ctx context.Context, ref int64, id, handle string, at time.Time) (jauge.Followed, error) {
	var out jauge.Followed
	err := d.tx(ctx, func(tx *sql.Tx) error {
		row, err := accountByRef(ctx, tx, ref)
		if err != nil {
			return err
		}
		if row.Account.ID != "" {
			elsewhere := ""
			if row.Account.ID != id {
				elsewhere, handle = id, row.Account.Handle
			}
			out, err = setResolved(ctx, tx, ref, row.Account.ID, handle, elsewhere, at)
			return err
		}
		other, err := scanAccount(tx.QueryRowContext(ctx, "SELECT "+accountColumns+
			" FROM account WHERE platform = ? AND id = ?", row.Account.Platform, id))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			out, err = setResolved(ctx, tx, ref, id, handle, "", at)
			return err
		case err != nil:
			return err
		case other.Removed.IsZero() && !other.ByID:
			return &jauge.Error{
				Op: "resolve handle", Reason: jauge.ReasonBadRequest,
				Err:  fmt.Errorf("%s and %s are the same account %s", row.Configured, other.Configured, id),
				Hint: "take one of the two out of the configuration",
			}
		}
		out, err = takeOver(ctx, tx, row, other, handle, at)
		return err
	})
	if err != nil {
		return jauge.Followed{}, fmt.Errorf("record resolved handle: %w", err)
	}
	return out, nil
}

// Unresolved records that a handle could not be resolved, why, and when to try again.
func (d *DB) Unresolved(ctx context.Context, ref int64, f jauge.Failure, next time.Time) error {
	_, err := d.write.ExecContext(ctx, `UPDATE account SET attempts = attempts + 1, next_try = ?, fail_reason = ?,
		fail_text = ?, fail_at = ?, fail_count = fail_count + 1, unfinished = 0 WHERE ref = ?`,
		nanos(next), f.Reason, f.Text, nanos(f.At), ref)
	if err != nil {
		return fmt.Errorf("record unresolved handle: %w", d.note(err))
	}
	return nil
}

func accountByRef(ctx context.Context, tx *sql.Tx, ref int64) (jauge.Followed, error) {
	return scanAccount(tx.QueryRowContext(ctx, "SELECT "+accountColumns+" FROM account WHERE ref = ?", ref))
}

func setResolved(
	ctx context.Context, tx *sql.Tx, ref int64, id, handle, elsewhere string, at time.Time,
) (jauge.Followed, error) {
	_, err := tx.ExecContext(ctx, `UPDATE account SET id = ?, handle = ?, elsewhere = ?, resolved = ?, attempts = 0,
		next_try = 0 WHERE ref = ?`, id, handle, elsewhere, nanos(at), ref)
	if err != nil {
		return jauge.Followed{}, err
	}
	return accountByRef(ctx, tx, ref)
}

// takeOver lets the entry old, which was taken out of config or is listed by its id, go on under the spelling and brand of the entry fresh.
func takeOver(
	ctx context.Context, tx *sql.Tx, fresh, old jauge.Followed, handle string, at time.Time,
) (jauge.Followed, error) {
	for _, q := range []string{
		"DELETE FROM account WHERE ref = ?", "DELETE FROM placement WHERE account = ?",
		"DELETE FROM backfill WHERE account = ?",
	} {
		if _, err := tx.ExecContext(ctx, q, fresh.Ref); err != nil {
			return jauge.Followed{}, err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE account SET configured = ?, lookup = ?, brand = ?, competitor = ?, removed = 0,
		last_run = max(last_run, ?), unfinished = ? WHERE ref = ?`, fresh.Configured, lookupKey(fresh.Configured),
		fresh.Account.Brand, fresh.Account.Competitor, nanos(fresh.LastRun), fresh.Unfinished, old.Ref)
	if err != nil {
		return jauge.Followed{}, err
	}
	if err := placeBrand(ctx, tx, old.Ref, fresh.Account.Brand, false); err != nil {
		return jauge.Followed{}, err
	}
	return setResolved(ctx, tx, old.Ref, old.Account.ID, handle, "", at)
}
