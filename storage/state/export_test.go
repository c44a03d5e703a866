package state

import "context"

// Synchronous reads back what the connections of this use do at a commit.
func (d *DB) Synchronous(ctx context.Context, sealed bool) (mode int, journal string, err error) {
	db := d.write
	if sealed {
		db = d.seal
	}
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&mode); err != nil {
		return 0, "", err
	}
	err = db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal)
	return mode, journal, err
}
