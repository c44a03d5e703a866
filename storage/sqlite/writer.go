package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"jauge.dev/jauge"
)

// maxStatements bounds the prepared statements; a program writes few column sets, so this is seldom reached.
const maxStatements = 256

// writer is the one connection that writes, with its prepared statements. It speaks to the driver directly:
// database/sql would convert and copy each of some 30 arguments a row.
type writer struct {
	conn  *sql.Conn
	stmts map[shape]sqldriver.Stmt
	args  []sqldriver.NamedValue
}

// shape is what distinguishes statements: the table, what is done, and the set of columns.
type shape struct {
	schema *jauge.Schema
	verb   verb
	cols   columnSet
}

type verb uint8

const (
	merge    verb = iota + 1 // the named columns are set, the others stay
	replace                  // all columns are set
	remove                   // the row goes
	displace                 // the rows go that hold the same post under another key
	expire                   // an account's rows go that are older than an instant
)

// columnSet is a set of columns, a bit each; no measurement has more than 128.
type columnSet [2]uint64

func (c *columnSet) add(col int)     { c[col>>6] |= 1 << (col & 63) }
func (c columnSet) has(col int) bool { return c[col>>6]&(1<<(col&63)) != 0 }

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, stmts: map[shape]sqldriver.Stmt{}}, nil
}

// close ends the connection for good: one that failed must not be used again. An error of it would have shown in the
// statements.
func (w *writer) close() {
	w.forget()
	_ = w.conn.Raw(func(any) error { return sqldriver.ErrBadConn })
	_ = w.conn.Close()
}

func (w *writer) forget() {
	for k, st := range w.stmts {
		_ = st.Close()
		delete(w.stmts, k)
	}
}

// transaction runs f in a transaction that takes the write lock at its begin: after that nothing waits.
func (w *writer) transaction(ctx context.Context, f func(c sqldriver.ConnPrepareContext) error) error {
	return w.conn.Raw(func(dc any) error {
		c, ok := dc.(interface {
			sqldriver.ConnBeginTx
			sqldriver.ConnPrepareContext
		})
		if !ok {
			return fmt.Errorf("driver connection %T can not begin or prepare", dc)
		}
		tx, err := c.BeginTx(ctx, sqldriver.TxOptions{})
		if err != nil {
			return err
		}
		if err := f(c); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
}

// exec runs the statement of a shape with the arguments gathered in w.args. The context is not handed down: the
// driver would start a goroutine for each row; the callers look at it between rows.
func (w *writer) exec(ctx context.Context, c sqldriver.ConnPrepareContext, sh shape) error {
	st, err := w.prepare(ctx, c, sh)
	if err != nil {
		return err
	}
	x, ok := st.(sqldriver.StmtExecContext)
	if !ok {
		return fmt.Errorf("driver statement %T can not execute", st)
	}
	_, err = x.ExecContext(context.WithoutCancel(ctx), w.args)
	return err
}

func (w *writer) prepare(ctx context.Context, c sqldriver.ConnPrepareContext, sh shape) (sqldriver.Stmt, error) {
	if st, ok := w.stmts[sh]; ok {
		return st, nil
	}
	if len(w.stmts) >= maxStatements {
		w.forget()
	}
	st, err := c.PrepareContext(ctx, sh.sql())
	if err != nil {
		return nil, fmt.Errorf("prepare a statement for %s: %w", sh.schema.Measurement, err)
	}
	w.stmts[sh] = st
	return st, nil
}

// sql writes the statement. Arguments: the tags, the time, then the columns of the set in order.
func (sh shape) sql() string {
	s := sh.schema
	table := quote(string(s.Measurement))
	var where []string
	for _, t := range append(append([]string{}, s.Tags...), "time") {
		where = append(where, quote(t)+" = ?")
	}
	switch sh.verb {
	case remove:
		return "DELETE FROM " + table + " WHERE " + strings.Join(where, " AND ")
	case displace:
		return "DELETE FROM social_post WHERE platform = ? AND account = ? AND post_id = ?" +
			" AND NOT (brand = ? AND format = ? AND time = ?)"
	case expire:
		return "DELETE FROM " + table + " WHERE platform = ? AND account = ? AND time < ?"
	case merge, replace:
	}
	names := append(append([]string{}, s.Tags...), "time")
	var set []string
	for i, c := range s.Columns {
		if sh.cols.has(i) {
			names = append(names, c.Name)
			set = append(set, quote(c.Name)+" = excluded."+quote(c.Name))
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (%s) DO UPDATE SET %s",
		table, list(names), strings.Repeat(", ?", len(names)-1), list(keyOf(s)), strings.Join(set, ", "))
}
