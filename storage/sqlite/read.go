package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// maxInline is how many values of a condition stand in the statement itself; longer lists go as one JSON argument,
// for SQLite bounds the number of arguments.
const maxInline = 500

// errStop ends a read whose caller wants no more rows.
var errStop = errors.New("enough rows")

// Read gives the rows that match as they were when it began, by time; each row is the caller's own.
func (s *Store) Read(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error] {
	return func(yield func(jauge.Record, error) bool) {
		start := time.Now()
		err := s.read(ctx, q, func(r jauge.Record) bool { return yield(r, nil) })
		if errors.Is(err, errStop) {
			s.meter.Read(start, nil)
			return
		}
		if err != nil {
			err = describe("read "+string(q.Measurement), ended(ctx, err))
			s.meter.Read(start, err)
			yield(jauge.Record{}, err)
			return
		}
		s.meter.Read(start, nil)
	}
}

func (s *Store) read(ctx context.Context, q jauge.Query, take func(jauge.Record) bool) error {
	plan, err := base.NewPlan(q)
	if err != nil || plan.Nothing {
		return err
	}
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	conn, err := p.ro.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	text, args := statement(plan)
	return conn.Raw(func(dc any) error {
		c, ok := dc.(sqldriver.QueryerContext)
		if !ok {
			return fmt.Errorf("driver connection %T can not query", dc)
		}
		rows, err := c.QueryContext(ctx, text, args)
		if err != nil {
			return err
		}
		return errors.Join(scan(ctx, plan, rows, take), rows.Close())
	})
}

// statement writes the query: tags, time and the wanted columns, by time.
func statement(p *base.Plan) (string, []sqldriver.NamedValue) {
	var b strings.Builder
	var args []sqldriver.NamedValue
	bind := func(v any) { args = append(args, sqldriver.NamedValue{Ordinal: len(args) + 1, Value: v}) }
	names := append(append([]string{}, p.Schema.Tags...), "time")
	for _, c := range p.Columns {
		names = append(names, p.Schema.Columns[c].Name)
	}
	fmt.Fprintf(&b, "SELECT %s FROM %s WHERE 1", list(names), quote(string(p.Schema.Measurement)))
	for _, c := range p.Conds {
		fmt.Fprintf(&b, " AND %s", quote(c.Name))
		switch {
		case len(c.Values) == 1:
			b.WriteString(" = ?")
			bind(c.Values[0])
		case len(c.Values) <= maxInline:
			b.WriteString(" IN (?" + strings.Repeat(", ?", len(c.Values)-1) + ")")
			for _, v := range c.Values {
				bind(v)
			}
		default:
			b.WriteString(" IN (SELECT value FROM json_each(?))")
			bind(array(c.Values))
		}
	}
	if p.Bounded[0] {
		b.WriteString(` AND "time" >= ?`)
		bind(p.From)
	}
	if p.Bounded[1] {
		b.WriteString(` AND "time" < ?`)
		bind(p.To)
	}
	if !p.All {
		b.WriteString(" AND (")
		for i, c := range p.Columns {
			if i > 0 {
				b.WriteString(" OR ")
			}
			b.WriteString(quote(p.Schema.Columns[c].Name) + " IS NOT NULL")
		}
		b.WriteString(")")
	}
	b.WriteString(` ORDER BY "time"`)
	if p.Desc {
		b.WriteString(" DESC")
	}
	if p.Limit > 0 {
		b.WriteString(" LIMIT ?")
		bind(int64(p.Limit))
	}
	return b.String(), args
}

func array(values []string) string {
	text, err := json.Marshal(values)
	if err != nil { // strings can always be marshalled
		return "[]"
	}
	return string(text)
}

func scan(ctx context.Context, p *base.Plan, rows sqldriver.Rows, take func(jauge.Record) bool) error {
	dest := make([]sqldriver.Value, len(p.Schema.Tags)+1+len(p.Columns))
	last := make([]string, len(p.Schema.Tags)) // rows of one account follow each other: their tags share memory
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := rows.Next(dest)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r, err := record(p, dest, last)
		if err != nil {
			return err
		}
		if !take(r) {
			return errStop
		}
	}
}

func record(p *base.Plan, dest []sqldriver.Value, last []string) (jauge.Record, error) {
	r := jauge.Record{Schema: p.Schema, Tags: make([]string, len(last))}
	for i := range last {
		t, ok := dest[i].(string)
		if !ok {
			return r, badCell(p.Schema, p.Schema.Tags[i], dest[i])
		}
		if t != last[i] {
			last[i] = t
		}
		r.Tags[i] = last[i]
	}
	at, ok := dest[len(last)].(int64)
	if !ok {
		return r, badCell(p.Schema, "time", dest[len(last)])
	}
	r.Time = at
	cells := dest[len(last)+1:]
	n := 0
	for _, c := range cells {
		if c != nil {
			n++
		}
	}
	r.Values = make([]jauge.Value, 0, n)
	for i, col := range p.Columns {
		if cells[i] == nil {
			continue
		}
		v, ok := value(p.Schema.Columns[col].Type, col, cells[i])
		if !ok {
			return r, badCell(p.Schema, p.Schema.Columns[col].Name, cells[i])
		}
		r.Values = append(r.Values, v)
	}
	return r, nil
}

func value(t jauge.ColumnType, col int, cell sqldriver.Value) (jauge.Value, bool) {
	switch t {
	case jauge.Float:
		f, ok := cell.(float64)
		return jauge.FloatValue(col, f), ok
	case jauge.Instant, jauge.Integer:
		i, ok := cell.(int64)
		return jauge.IntValue(col, i), ok
	case jauge.Text:
		s, ok := cell.(string)
		return jauge.TextValue(col, s), ok
	case jauge.Flag:
		i, ok := cell.(int64)
		return jauge.FlagValue(col, i != 0), ok
	}
	return jauge.Value{}, false
}

func badCell(s *jauge.Schema, name string, cell any) error {
	return fmt.Errorf("%s.%s holds a %T where the schema says otherwise: something else wrote into the database",
		s.Measurement, name, cell)
}
