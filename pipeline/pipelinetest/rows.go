package pipelinetest

import (
	"hash/fnv"
	"slices"

	"jauge.dev/jauge"
)

// rows is what the oracle makes: rows by key.
type rows map[string]jauge.Record

// row makes one record by field names; what is empty is left out.
type row struct{ jauge.Record }

func newRow(m jauge.Measurement, at int64, tags ...string) *row {
	return &row{jauge.Record{Schema: jauge.SchemaOf(m), Time: at, Tags: tags}}
}

func (r *row) add(v jauge.Value) { r.Values = append(r.Values, v) }

func (r *row) float(name string, f float64) { r.add(jauge.FloatValue(r.Schema.Column(name), f)) }

func (r *row) flag(name string, b bool) { r.add(jauge.FlagValue(r.Schema.Column(name), b)) }

func (r *row) instant(name string, at int64) { r.add(jauge.IntValue(r.Schema.Column(name), at)) }

func (r *row) text(name, s string) {
	if s != "" {
		r.add(jauge.TextValue(r.Schema.Column(name), s))
	}
}

func (r *row) metrics(values map[jauge.Metric]float64) {
	for m, v := range values {
		r.float(string(m), v)
	}
}

func (out rows) put(r *row) {
	slices.SortFunc(r.Values, func(a, b jauge.Value) int { return a.Col - b.Col })
	out[r.Key()] = r.Record
}

// hashed gives nanoseconds below a second from a text (rules 2 and 15).
func hashed(s string) int64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return int64(h.Sum64() % uint64(second)) //nolint:gosec // below a second
}

// cut gives the instant's whole second.
func cut(at int64) int64 { return at - at%second }
