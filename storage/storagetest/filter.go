package storagetest

import (
	"fmt"
	"math"
	"slices"

	"jauge.dev/jauge"
)

// filter is a query made ready to judge rows.
type filter struct {
	from, to   int64 // from <= time < to
	open       bool  // no upper bound
	platforms  []string
	accounts   []string
	conditions []condition
	columns    []int // nil for all
}

// condition asks that a tag or a text field has one of some values.
type condition struct {
	tag, col int // one of them is -1
	values   []string
}

func newFilter(q jauge.Query) (*filter, error) {
	s := jauge.SchemaOf(q.Measurement)
	if s == nil {
		return nil, fmt.Errorf("read %q: no such measurement", q.Measurement)
	}
	f := &filter{from: math.MinInt64, open: q.To.IsZero()}
	if !q.From.IsZero() {
		f.from = nanos(q.From)
	}
	if !f.open {
		f.to = nanos(q.To)
	}
	for name, values := range q.Match {
		c := condition{s.Tag(name), s.Column(name), values}
		if c.tag < 0 && (c.col < 0 || s.Columns[c.col].Type != jauge.Text) {
			return nil, fmt.Errorf("read %s: %q is neither a tag nor a text field", q.Measurement, name)
		}
		switch {
		case c.tag >= 0 && name == "platform":
			f.platforms = values
		case c.tag >= 0 && name == "account":
			f.accounts = values
		}
		f.conditions = append(f.conditions, c)
	}
	for _, name := range q.Columns {
		c := s.Column(name)
		if c < 0 {
			return nil, fmt.Errorf("read %s: no field %q", q.Measurement, name)
		}
		f.columns = append(f.columns, c)
	}
	return f, nil
}

func (f *filter) mayHold(p part) bool {
	return (f.platforms == nil || slices.Contains(f.platforms, p.platform)) &&
		(f.accounts == nil || slices.Contains(f.accounts, p.account))
}

func (f *filter) match(r *jauge.Record) bool {
	if r.Time < f.from || (!f.open && r.Time >= f.to) {
		return false
	}
	for _, c := range f.conditions {
		if c.tag >= 0 {
			if !slices.Contains(c.values, r.Tags[c.tag]) {
				return false
			}
			continue
		}
		v, ok := r.Get(c.col)
		if !ok || !slices.Contains(c.values, v.Str) {
			return false
		}
	}
	return true
}

// project copies the row with the wanted fields; ok is false where it has none of them.
func (f *filter) project(r jauge.Record) (jauge.Record, bool) {
	r = clone(r)
	if f.columns == nil {
		return r, true
	}
	r.Values = slices.DeleteFunc(r.Values, func(v jauge.Value) bool { return !slices.Contains(f.columns, v.Col) })
	return r, len(r.Values) > 0
}
