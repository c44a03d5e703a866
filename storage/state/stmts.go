package state

import (
	"context"
	"database/sql"
	"errors"
)

// stmts are the statements of the busy paths, prepared once.
type stmts struct {
	all []*sql.Stmt

	begin, prune                    *sql.Stmt
	updatePost, updateState, insert *sql.Stmt
	count, observed, complete       *sql.Stmt
	ended, failed, left             *sql.Stmt
	due, followed                   *sql.Stmt // of the readers
}

func (s *stmts) prepare(ctx context.Context, write, read *sql.DB) error {
	for _, p := range []struct {
		to   **sql.Stmt
		db   *sql.DB
		text string
	}{
		{&s.begin, write, `UPDATE account SET last_run = CASE ?1 WHEN 0 THEN last_run ELSE ?1 END, unfinished = 1
			WHERE ref = ?2`},
		{&s.prune, write, `UPDATE post SET due = 0 WHERE account = ? AND due > 0 AND published < ?`},
		{&s.updatePost, write, `UPDATE post SET read = ?, due = ?, state = ? WHERE account = ? AND stem = ? AND id = ?`},
		{&s.updateState, write, `UPDATE post SET read = ?1, due = CASE ?2 WHEN 1 THEN 0 ELSE due END, state = ?2
			WHERE account = ?3 AND stem = ?4 AND id = ?5`},
		{&s.insert, write, `INSERT INTO post (account, stem, id, published, read, due, state)
			VALUES (?, ?, ?, ?, ?, ?, ?)`},
		{&s.count, write, `INSERT INTO known (platform, posts) SELECT platform, ?1 FROM account WHERE ref = ?2
			ON CONFLICT (platform) DO UPDATE SET posts = posts + excluded.posts`},
		{&s.observed, write, `UPDATE account SET observed = max(observed, ?1),
			handle = CASE ?2 WHEN '' THEN handle ELSE ?2 END, state = CASE ?3 WHEN '' THEN state ELSE ?3 END
			WHERE ref = ?4`},
		{&s.complete, write, `UPDATE account SET last_complete = ?, newest = max(newest, ?) WHERE ref = ?`},
		{&s.ended, write, `UPDATE account SET unfinished = 0, last_success = max(last_success, ?), fail_reason = '',
			fail_text = '', fail_at = 0, fail_count = 0 WHERE ref = ?`},
		{&s.left, write, `UPDATE account SET unfinished = 0 WHERE ref = ?`},
		{&s.failed, write, `UPDATE account SET unfinished = 0, fail_reason = ?, fail_text = ?, fail_at = ?,
			fail_count = fail_count + 1 WHERE ref = ?`},
		{&s.due, read, `SELECT stem, id, published, read, due, state, rank FROM (
			SELECT stem, id, published, read, due, state, row_number() OVER (ORDER BY published DESC) - 1 AS rank
			FROM post WHERE account = ? AND due > 0) WHERE due <= ? ORDER BY rank`},
		{&s.followed, read, `SELECT ` + accountColumns + ` FROM account WHERE ref = ?`},
	} {
		st, err := p.db.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.to = st
		s.all = append(s.all, st)
	}
	return nil
}

func (s *stmts) close() error {
	errs := make([]error, 0, len(s.all))
	for _, st := range s.all {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}
