package base

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
)

// Op names a call of a store in metrics and messages.
type Op string

// The calls that can fail.
const (
	OpOpen   Op = "open"
	OpPing   Op = "ping"
	OpWrite  Op = "write"
	OpDelete Op = "delete"
	OpRead   Op = "read"
	OpPrune  Op = "prune"
)

// Meter counts and times what a store does. Every series exists from the start.
type Meter struct {
	write, read prometheus.Histogram
	written     map[jauge.Measurement]prometheus.Counter
	rejected    map[jauge.Measurement]prometheus.Counter
	failures    *prometheus.CounterVec
}

// NewMeter registers the instruments of one store; a nil registerer leaves them unregistered.
func NewMeter(store string, reg prometheus.Registerer) (*Meter, error) {
	labels := prometheus.Labels{"store": store}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, ConstLabels: labels,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		})
	}
	counter := func(name, help string, vary ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, vary)
	}
	written := counter("jauge_store_rows_written_total", "Rows that the store has made durable.", "measurement")
	rejected := counter("jauge_store_rows_rejected_total", "Rows that the store will never take.", "measurement")
	m := &Meter{
		write:    seconds("jauge_store_write_seconds", "Time that a write of rows took, retries left out."),
		read:     seconds("jauge_store_read_seconds", "Time from the begin of a read to its last row."),
		failures: counter("jauge_store_failures_total", "Calls of the store that failed.", "op", "reason"),
		written:  map[jauge.Measurement]prometheus.Counter{},
		rejected: map[jauge.Measurement]prometheus.Counter{},
	}
	for _, s := range jauge.Schemas() {
		m.written[s.Measurement] = written.WithLabelValues(string(s.Measurement))
		m.rejected[s.Measurement] = rejected.WithLabelValues(string(s.Measurement))
	}
	for _, op := range []Op{OpOpen, OpPing, OpWrite, OpDelete, OpRead, OpPrune} {
		for _, r := range jauge.Reasons() {
			m.failures.WithLabelValues(string(op), string(r))
		}
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.write, m.read, written, rejected, m.failures} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of the %s store: %w", store, err)
		}
	}
	return m, nil
}

// Wrote notes a write that began at start: its duration, its rows and what became of them.
func (m *Meter) Wrote(start time.Time, rows []jauge.Record, err error) {
	m.write.Observe(time.Since(start).Seconds())
	refused, partly := errors.AsType[*jauge.RejectedError](err)
	if err != nil && !partly {
		m.Failed(OpWrite, err)
		return
	}
	tally := map[*jauge.Schema]int{}
	count(tally, rows, 1)
	if partly {
		out := map[*jauge.Schema]int{}
		count(out, refused.Rows, 1)
		count(tally, refused.Rows, -1)
		add(m.rejected, out)
	}
	add(m.written, tally)
}

// count adds the number of rows per measurement; rows of one measurement mostly stand together.
func count(to map[*jauge.Schema]int, rows []jauge.Record, by int) {
	for i := 0; i < len(rows); {
		n := i + 1
		for n < len(rows) && rows[n].Schema == rows[i].Schema {
			n++
		}
		to[rows[i].Schema] += by * (n - i)
		i = n
	}
}

func add(to map[jauge.Measurement]prometheus.Counter, tally map[*jauge.Schema]int) {
	for s, n := range tally {
		if s != nil && n > 0 {
			to[s.Measurement].Add(float64(n))
		}
	}
}

// Read notes a read that began at start.
func (m *Meter) Read(start time.Time, err error) {
	m.read.Observe(time.Since(start).Seconds())
	m.Failed(OpRead, err)
}

// Failed counts a failed call; nil counts nothing.
func (m *Meter) Failed(op Op, err error) {
	if err != nil {
		m.failures.WithLabelValues(string(op), string(jauge.ReasonOf(err))).Inc()
	}
}
