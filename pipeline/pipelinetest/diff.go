package pipelinetest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// unknowable are fields that the oracle does not compute: what the pipeline keeps for itself, and the version of a
// formula.
var unknowable = []string{"carry", "version"}

// Diff tells in which fields the stored rows differ from the wanted ones, one line each with key, field, want and got;
// nothing where they agree. Numbers may differ by rounding in the last places.
func Diff(want map[string]jauge.Record, got []jauge.Record) []string {
	var out []string
	stored := map[string]jauge.Record{}
	for _, r := range got {
		stored[r.Key()] = r
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		w := want[k]
		g, ok := stored[k]
		if !ok {
			out = append(out, fmt.Sprintf("%s: row is missing: %s", name(&w), fields(&w)))
			continue
		}
		for _, c := range w.Schema.Columns {
			if f, h := show(&w, c), show(&g, c); !equal(&w, &g, c) {
				out = append(out, fmt.Sprintf("%s: %s: want %s, got %s", name(&w), c.Name, f, h))
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(stored)) {
		g := stored[k]
		if _, ok := want[k]; !ok {
			out = append(out, fmt.Sprintf("%s: row should not be: %s", name(&g), fields(&g)))
		}
	}
	return out
}

func equal(want, got *jauge.Record, c jauge.Column) bool {
	if slices.Contains(unknowable, c.Name) {
		return true
	}
	w, wok := want.Field(c.Name)
	g, gok := got.Field(c.Name)
	if !wok || !gok {
		return wok == gok
	}
	if c.Type == jauge.Float {
		x, y := w.Float(), g.Float()
		return math.Abs(x-y) <= 1e-9*max(1, math.Abs(x), math.Abs(y))
	}
	return w == g
}

// name writes a row's key for people.
func name(r *jauge.Record) string {
	return fmt.Sprintf("%s{%s} %s", r.Schema.Measurement, strings.Join(r.Tags, ","),
		time.Unix(0, r.Time).UTC().Format(time.RFC3339Nano))
}

func show(r *jauge.Record, c jauge.Column) string {
	v, ok := r.Field(c.Name)
	if !ok {
		return "nothing"
	}
	switch c.Type {
	case jauge.Float:
		return fmt.Sprint(v.Float())
	case jauge.Instant:
		return time.Unix(0, v.Int()).UTC().Format(time.RFC3339Nano)
	case jauge.Integer:
		return fmt.Sprint(v.Int())
	case jauge.Flag:
		return fmt.Sprint(v.Bool())
	default:
		return fmt.Sprintf("%q", v.Str)
	}
}

func fields(r *jauge.Record) string {
	var out []string
	for _, v := range r.Values {
		c := r.Schema.Columns[v.Col]
		out = append(out, c.Name+"="+show(r, c))
	}
	return strings.Join(out, " ")
}
