package base

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// Plan is a query that has been checked against the schema of its measurement.
type Plan struct {
	Schema   *jauge.Schema
	From, To int64   // Unix nanoseconds, half-open
	Bounded  [2]bool // whether From and To were given
	Conds    []Cond  // sorted by name, so that equal queries give equal statements
	Columns  []int   // fields wanted, ascending; all where the query named none
	All      bool    // the query named no columns
	Limit    int
	Desc     bool
	Nothing  bool // no row can match
}

// Cond asks that a tag or a text field has one of some values.
type Cond struct {
	Name   string
	Tag    int // position in Schema.Tags, -1 for a field
	Col    int // position in Schema.Columns, -1 for a tag
	Values []string
}

// NewPlan checks a query: measurement, columns and what it matches must exist, and only tags and text fields can be
// matched. A list of no values matches nothing.
func NewPlan(q jauge.Query) (*Plan, error) {
	s := jauge.SchemaOf(q.Measurement)
	if s == nil {
		return nil, refuse(q, fmt.Errorf("no measurement %q", q.Measurement))
	}
	p := &Plan{Schema: s, Limit: q.Limit, Desc: q.Desc, From: math.MinInt64, To: math.MaxInt64}
	if !q.From.IsZero() {
		p.From, p.Bounded[0] = Nanos(q.From), true
	}
	if !q.To.IsZero() {
		p.To, p.Bounded[1] = Nanos(q.To), true
		p.Nothing = p.To <= p.From
	}
	for name, values := range q.Match {
		c := Cond{Name: name, Tag: s.Tag(name), Col: s.Column(name), Values: values}
		if c.Tag < 0 && (c.Col < 0 || s.Columns[c.Col].Type != jauge.Text) {
			return nil, refuse(q, fmt.Errorf("%q is neither a tag nor a text field", name))
		}
		p.Nothing = p.Nothing || len(values) == 0
		p.Conds = append(p.Conds, c)
	}
	slices.SortFunc(p.Conds, func(a, b Cond) int { return cmp.Compare(a.Name, b.Name) })
	return p, p.columns(q)
}

func (p *Plan) columns(q jauge.Query) error {
	p.All = len(q.Columns) == 0
	if p.All {
		for i := range p.Schema.Columns {
			p.Columns = append(p.Columns, i)
		}
		return nil
	}
	for _, name := range q.Columns {
		c := p.Schema.Column(name)
		if c < 0 {
			return refuse(q, fmt.Errorf("no field %q", name))
		}
		p.Columns = append(p.Columns, c)
	}
	slices.Sort(p.Columns)
	p.Columns = slices.Compact(p.Columns)
	return nil
}

func refuse(q jauge.Query, err error) error {
	return &jauge.Error{Op: "read " + string(q.Measurement), Reason: jauge.ReasonBadRequest, Err: err}
}

// Nanos gives an instant in Unix nanoseconds; an instant that they cannot tell becomes the nearest that they can.
func Nanos(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}
