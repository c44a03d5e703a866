package jauge

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Value is one field of a record: a number, an instant, a text or a flag, as the column's type says. An absent field
// has no Value.
type Value struct {
	Col  int // position in Schema.Columns
	Str  string
	bits uint64
}

// Float returns a Float column's number.
func (v Value) Float() float64 { return math.Float64frombits(v.bits) }

// Int returns an Integer or Instant column's number.
func (v Value) Int() int64 { return int64(v.bits) } //nolint:gosec // the bits were an int64

// Bool returns a Flag column's truth.
func (v Value) Bool() bool { return v.bits != 0 }

// FloatValue makes the value of a Float column. NaN and Inf are no values: the caller leaves them out.
func FloatValue(col int, f float64) Value { return Value{Col: col, bits: math.Float64bits(f)} }

// IntValue makes the value of an Integer or Instant column.
func IntValue(col int, i int64) Value { return Value{Col: col, bits: uint64(i)} } //nolint:gosec // kept bit by bit

// TextValue makes the value of a Text column.
func TextValue(col int, s string) Value { return Value{Col: col, Str: s} }

// FlagValue makes the value of a Flag column.
func FlagValue(col int, b bool) Value {
	if b {
		return Value{Col: col, bits: 1}
	}
	return Value{Col: col}
}

// Record is one row in canonical names. Its key is measurement, tags and time; writing a key twice leaves one row.
type Record struct {
	Schema *Schema
	Time   int64    // Unix nanoseconds, UTC
	Tags   []string // one for each of Schema.Tags, none empty
	Values []Value  // ascending by Col; absent fields left out

	// Replace says that the stored row may hold fields which this record lacks, and that they must go. Without it a
	// store may leave fields as they are that the record does not bear.
	Replace bool
}

// Get finds a field by its position.
func (r *Record) Get(col int) (Value, bool) {
	i, ok := slices.BinarySearchFunc(r.Values, col, func(v Value, c int) int { return v.Col - c })
	if !ok {
		return Value{}, false
	}
	return r.Values[i], true
}

// Field finds a field by its name.
func (r *Record) Field(name string) (Value, bool) {
	c := r.Schema.Column(name)
	if c < 0 {
		return Value{}, false
	}
	return r.Get(c)
}

// Float returns a Float field by name, false where it is absent.
func (r *Record) Float(name string) (float64, bool) {
	v, ok := r.Field(name)
	return v.Float(), ok
}

// Text returns a Text field by name, "" where it is absent.
func (r *Record) Text(name string) string {
	v, _ := r.Field(name)
	return v.Str
}

// Flag returns a Flag field by name, false where it is absent.
func (r *Record) Flag(name string) bool {
	v, _ := r.Field(name)
	return v.Bool()
}

// Int returns an Integer or Instant field by name, false where it is absent.
func (r *Record) Int(name string) (int64, bool) {
	v, ok := r.Field(name)
	return v.Int(), ok
}

// Tag returns a tag by name, "" where the measurement has none of that name.
func (r *Record) Tag(name string) string {
	i := r.Schema.Tag(name)
	if i < 0 {
		return ""
	}
	return r.Tags[i]
}

// Key writes the row's key as text, for maps and messages.
func (r *Record) Key() string {
	var b strings.Builder
	b.WriteString(string(r.Schema.Measurement))
	for _, t := range r.Tags {
		b.WriteByte('\x1f')
		b.WriteString(t)
	}
	fmt.Fprintf(&b, "\x1f%d", r.Time)
	return b.String()
}

// Equal tells whether two records have the same key and the same fields.
func (r *Record) Equal(o *Record) bool {
	return r.Schema == o.Schema && r.Time == o.Time && slices.Equal(r.Tags, o.Tags) && slices.Equal(r.Values, o.Values)
}

// Validate refuses what no store could hold: a wrong number of tags, an empty tag, fields out of order, a number
// that is not finite.
func (r *Record) Validate() error {
	if r.Schema == nil {
		return fmt.Errorf("record without a schema")
	}
	if len(r.Tags) != len(r.Schema.Tags) {
		return fmt.Errorf("%s: %d tags, want %d", r.Schema.Measurement, len(r.Tags), len(r.Schema.Tags))
	}
	for i, t := range r.Tags {
		if t == "" {
			return fmt.Errorf("%s: tag %s is empty", r.Schema.Measurement, r.Schema.Tags[i])
		}
	}
	last := -1
	for _, v := range r.Values {
		if v.Col <= last || v.Col >= len(r.Schema.Columns) {
			return fmt.Errorf("%s: field %d out of order or unknown", r.Schema.Measurement, v.Col)
		}
		last = v.Col
		c := r.Schema.Columns[v.Col]
		if f := v.Float(); c.Type == Float && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return fmt.Errorf("%s: field %s is %v, which is no value", r.Schema.Measurement, c.Name, f)
		}
	}
	if last < 0 {
		return fmt.Errorf("%s: no field at all", r.Schema.Measurement)
	}
	return nil
}

// Query asks a store for rows of one measurement. The zero value of each part asks for everything.
type Query struct {
	Measurement Measurement
	Match       map[string][]string // tag or Text field -> any of these values
	From, To    time.Time           // half-open: From <= time < To
	Columns     []string            // fields wanted, nil for all; a row that has none of them is left out
	Limit       int                 // at most so many rows, 0 for no limit
	Desc        bool                // newest first; else oldest first
}
