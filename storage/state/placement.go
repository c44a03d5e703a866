package state

import (
	"context"
	"database/sql"
	"fmt"

	"jauge.dev/jauge"
)

// placeBrand records that rows of the account may stand under a brand from now on; alone says that none stand
// elsewhere.
func placeBrand(ctx context.Context, tx *sql.Tx, ref int64, brand string, alone bool) error {
	if alone {
		if _, err := tx.ExecContext(ctx, "DELETE FROM placement WHERE account = ?", ref); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO placement (account, brand) VALUES (?, ?) ON CONFLICT DO NOTHING",
		ref, brand)
	return err
}

// StoredBrands lists the brands under which rows of an account may stand in the store, in order of their names; one
// where nothing is to be moved.
func (d *DB) StoredBrands(ctx context.Context, k jauge.Key) ([]string, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT p.brand FROM placement p JOIN account a ON a.ref = p.account
		WHERE a.platform = ? AND a.id = ? ORDER BY p.brand`, k.Platform, k.Account)
	if err != nil {
		return nil, fmt.Errorf("read stored brands: %w", d.note(err))
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var b string
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("read stored brands: %w", d.note(err))
		}
		out = append(out, b)
	}
	return out, d.note(rows.Err())
}

// Moves lists the moves that are still to be made: accounts whose rows may stand under another brand than config
// gives them today. A move stays listed until Moved.
func (d *DB) Moves(ctx context.Context) ([]jauge.Move, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT a.platform, a.id, a.handle, a.brand, a.competitor, p.brand
		FROM placement p JOIN account a ON a.ref = p.account
		WHERE p.brand <> a.brand AND a.id IS NOT NULL ORDER BY a.ref, p.brand`)
	if err != nil {
		return nil, fmt.Errorf("read pending moves: %w", d.note(err))
	}
	defer func() { _ = rows.Close() }()
	var out []jauge.Move
	for rows.Next() {
		var m jauge.Move
		a := &m.Account
		if err := rows.Scan(&a.Platform, &a.ID, &a.Handle, &a.Brand, &a.Competitor, &m.From); err != nil {
			return nil, fmt.Errorf("read pending moves: %w", d.note(err))
		}
		out = append(out, m)
	}
	return out, d.note(rows.Err())
}

// Moved records that no row of the account stands under the brand from any more. It changes nothing where config has
// listed the account under that brand again meanwhile.
func (d *DB) Moved(ctx context.Context, k jauge.Key, from string) error {
	_, err := d.write.ExecContext(ctx, `DELETE FROM placement WHERE brand = ?1 AND account IN
		(SELECT ref FROM account WHERE platform = ?2 AND id = ?3 AND brand <> ?1)`, from, k.Platform, k.Account)
	if err != nil {
		return fmt.Errorf("record moved rows: %w", d.note(err))
	}
	return nil
}
