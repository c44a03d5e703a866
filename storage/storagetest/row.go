package storagetest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// Row makes a record from its tags in the schema's order and from fields given as name, value, name, value: float64,
// int, int64, time.Time, string or bool. It panics on what no schema has: a test that asks for it is wrong.
func Row(m jauge.Measurement, at time.Time, tags []string, fields ...any) jauge.Record {
	s := jauge.SchemaOf(m)
	r := jauge.Record{Schema: s, Time: at.UnixNano(), Tags: slices.Clone(tags)}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		col := s.Column(name)
		if col < 0 {
			panic(fmt.Sprintf("%s has no field %v", m, fields[i]))
		}
		r.Values = append(r.Values, toValue(s.Columns[col], col, fields[i+1]))
	}
	slices.SortFunc(r.Values, func(a, b jauge.Value) int { return a.Col - b.Col })
	return r
}

func toValue(c jauge.Column, col int, v any) jauge.Value {
	switch v := v.(type) {
	case float64:
		return jauge.FloatValue(col, v)
	case int:
		if c.Type == jauge.Float {
			return jauge.FloatValue(col, float64(v))
		}
		return jauge.IntValue(col, int64(v))
	case int64:
		return jauge.IntValue(col, v)
	case time.Time:
		return jauge.IntValue(col, v.UnixNano())
	case string:
		return jauge.TextValue(col, v)
	case bool:
		return jauge.FlagValue(col, v)
	}
	panic(fmt.Sprintf("field %s can not be made from a %T", c.Name, v))
}

// Plain is a record as tests compare and print it.
type Plain struct {
	Measurement jauge.Measurement
	Time        int64
	Tags        []string
	Fields      map[string]any
}

// Plains gives records in plain form and in one order: by time, then by tags.
func Plains(rows []jauge.Record) []Plain {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, compare)
	out := make([]Plain, len(rows))
	for i := range rows {
		out[i] = plain(&rows[i])
	}
	return out
}

func plain(r *jauge.Record) Plain {
	p := Plain{r.Schema.Measurement, r.Time, r.Tags, map[string]any{}}
	for _, v := range r.Values {
		c := r.Schema.Columns[v.Col]
		switch c.Type {
		case jauge.Float:
			p.Fields[c.Name] = v.Float()
		case jauge.Instant, jauge.Integer:
			p.Fields[c.Name] = v.Int()
		case jauge.Text:
			p.Fields[c.Name] = v.Str
		case jauge.Flag:
			p.Fields[c.Name] = v.Bool()
		}
	}
	return p
}

// Reader is a store as one reads it.
type Reader interface {
	Read(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error]
}

// Collect reads all that matches, in the store's order, up to the first error.
func Collect(ctx context.Context, from Reader, q jauge.Query) ([]jauge.Record, error) {
	var out []jauge.Record
	for r, err := range from.Read(ctx, q) {
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}
