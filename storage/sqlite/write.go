package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"time"

	codes "modernc.org/sqlite/lib"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// lookEvery is how many rows are written between two looks at the context.
const lookEvery = 256

// Write upserts the rows in one transaction that is on disk when it returns. Rows that can never be stored come back
// in a *jauge.RejectedError, all others are then stored; any other error means that nothing was.
func (s *Store) Write(ctx context.Context, rows []jauge.Record) error {
	start := time.Now()
	valid, refused := base.Valid(rows)
	err := s.change(ctx, "write rows", func(w *writer, c sqldriver.ConnPrepareContext) error {
		for i := range valid {
			if i%lookEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			err := w.upsert(ctx, c, &valid[i])
			if codeOf(err)&0xff == codes.SQLITE_TOOBIG {
				if refused == nil {
					refused = &jauge.RejectedError{}
				}
				base.Reject(refused, valid[i], "a text is longer than SQLite allows")
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && refused != nil {
		err = refused
	}
	s.meter.Wrote(start, rows, err)
	return err
}

// Delete removes the rows with exactly these keys in one transaction.
func (s *Store) Delete(ctx context.Context, rows []jauge.Record) error {
	for i := range rows {
		if err := base.CheckKey(&rows[i]); err != nil {
			s.meter.Failed(base.OpDelete, err)
			return err
		}
	}
	err := s.change(ctx, "delete rows", func(w *writer, c sqldriver.ConnPrepareContext) error {
		for i := range rows {
			if i%lookEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			w.key(&rows[i])
			if err := w.exec(ctx, c, shape{schema: rows[i].Schema, verb: remove}); err != nil {
				return err
			}
		}
		return nil
	})
	s.meter.Failed(base.OpDelete, err)
	return err
}

// change runs f in a transaction of the writing connection, once it is this call's turn. A connection that failed is
// given up, the next call takes a new one.
func (s *Store) change(ctx context.Context, what string, f func(w *writer, c sqldriver.ConnPrepareContext) error) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	if err := s.turn.Enter(ctx); err != nil {
		return describe(what, err)
	}
	defer s.turn.Leave()
	if s.opened() != p { // closed while this call waited
		return &jauge.Error{Op: what, Reason: jauge.ReasonCanceled, Hint: "the store is being closed"}
	}
	if s.writer == nil {
		if s.writer, err = newWriter(ctx, p.rw); err != nil {
			return describe(what, ended(ctx, err))
		}
	}
	w := s.writer
	err = w.transaction(ctx, func(c sqldriver.ConnPrepareContext) error { return f(w, c) })
	if err != nil {
		w.close()
		s.writer = nil
		return describe(what, ended(ctx, err))
	}
	return nil
}

// upsert writes one row. A post has one row: where another key holds it (its format or brand changed, and the old
// row is to be deleted next), that other row goes in the same transaction, so that a crash between the two calls of a
// move leaves neither two rows nor a refused one.
func (w *writer) upsert(ctx context.Context, c sqldriver.ConnPrepareContext, r *jauge.Record) error {
	sh := w.row(r)
	err := w.exec(ctx, c, sh)
	if codeOf(err) != codes.SQLITE_CONSTRAINT_UNIQUE || r.Schema.Measurement != jauge.SocialPost {
		return err
	}
	w.args = w.args[:0]
	w.bind(r.Tag("platform"))
	w.bind(r.Tag("account"))
	w.bind(r.Text("post_id"))
	w.bind(r.Tag("brand"))
	w.bind(r.Tag("format"))
	w.bind(r.Time)
	if err := w.exec(ctx, c, shape{schema: r.Schema, verb: displace}); err != nil {
		return err
	}
	return w.exec(ctx, c, w.row(r))
}

// key gathers the arguments of a row's key.
func (w *writer) key(r *jauge.Record) {
	w.args = w.args[:0]
	for _, t := range r.Tags {
		w.bind(t)
	}
	w.bind(r.Time)
}

// row gathers the arguments of a row and tells the statement that takes them.
func (w *writer) row(r *jauge.Record) shape {
	w.key(r)
	sh := shape{schema: r.Schema, verb: merge}
	if r.Replace {
		sh.verb = replace
	}
	next := 0
	for i := range r.Values {
		v := &r.Values[i]
		for ; r.Replace && next < v.Col; next++ {
			sh.cols.add(next)
			w.bind(nil)
		}
		next = v.Col + 1
		sh.cols.add(v.Col)
		w.value(r.Schema.Columns[v.Col].Type, v)
	}
	for ; r.Replace && next < len(r.Schema.Columns); next++ {
		sh.cols.add(next)
		w.bind(nil)
	}
	return sh
}

func (w *writer) value(t jauge.ColumnType, v *jauge.Value) {
	switch t {
	case jauge.Float:
		w.bind(v.Float())
	case jauge.Instant, jauge.Integer:
		w.bind(v.Int())
	case jauge.Text:
		w.bind(v.Str)
	case jauge.Flag:
		w.bind(v.Bool())
	}
}

func (w *writer) bind(v any) {
	w.args = append(w.args, sqldriver.NamedValue{Ordinal: len(w.args) + 1, Value: v})
}
