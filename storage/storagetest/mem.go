package storagetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge"
)

// Mem is a store in memory with exactly the meaning of the contract and no promise beyond it: like InfluxDB and
// unlike SQLite it keeps two rows of a post whose format changed until the old one is deleted. It is safe for
// concurrent use, copies what it is given and what it hands out, and fails on demand (Fault, FailWrites, Reject).
type Mem struct {
	mu        sync.RWMutex
	tables    map[jauge.Measurement]map[part]table
	retention time.Duration
	faults    faults
	calls     Calls
}

// part is the share of a measurement that holds one account, so that reads of one account do not walk over all.
type part struct{ platform, account string }

type table map[string]jauge.Record // Record.Key -> row

// NewMem makes an empty store with a history retention of 90 days.
func NewMem() *Mem {
	return &Mem{tables: map[jauge.Measurement]map[part]table{}, retention: 90 * 24 * time.Hour}
}

// Open does nothing; it fails where a fault says so.
func (m *Mem) Open(ctx context.Context) error { return m.begin(ctx, OpOpen, nil) }

// Ping does nothing; it fails where a fault says so.
func (m *Mem) Ping(ctx context.Context) error { return m.begin(ctx, OpPing, nil) }

// Close does nothing; the rows stay readable.
func (m *Mem) Close() error { return nil }

// HistoryRetention tells how long history rows are kept.
func (m *Mem) HistoryRetention() time.Duration {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.retention
}

// SetHistoryRetention changes what HistoryRetention tells; Mem itself drops rows only in Prune.
func (m *Mem) SetHistoryRetention(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retention = d
}

// Write merges the rows into the stored ones field by field, or puts them in their place where Replace is set.
// Invalid rows and those that Reject names come back in a *jauge.RejectedError; all others are stored.
func (m *Mem) Write(ctx context.Context, rows []jauge.Record) error {
	if err := m.begin(ctx, OpWrite, rows); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var refused jauge.RejectedError
	for i := range rows {
		r := &rows[i]
		why := ""
		if err := r.Validate(); err != nil {
			why = err.Error()
		} else if m.faults.reject != nil {
			why = m.faults.reject(r)
		}
		if why != "" {
			refused.Rows, refused.Reasons = append(refused.Rows, *r), append(refused.Reasons, why)
			continue
		}
		m.put(r)
		m.calls.Rows++
	}
	if len(refused.Rows) > 0 {
		return &refused
	}
	return nil
}

func (m *Mem) put(r *jauge.Record) {
	parts := m.tables[r.Schema.Measurement]
	if parts == nil {
		parts = map[part]table{}
		m.tables[r.Schema.Measurement] = parts
	}
	p := partOf(r)
	if parts[p] == nil {
		parts[p] = table{}
	}
	key, row := r.Key(), clone(*r)
	row.Replace = false
	if old, ok := parts[p][key]; ok && !r.Replace {
		row.Values = merge(old.Values, row.Values)
	}
	parts[p][key] = row
}

// merge lays the new fields over the old ones; both are ascending by column.
func merge(old, fresh []jauge.Value) []jauge.Value {
	out := make([]jauge.Value, 0, len(old)+len(fresh))
	for len(old) > 0 && len(fresh) > 0 {
		switch {
		case old[0].Col < fresh[0].Col:
			out, old = append(out, old[0]), old[1:]
		case old[0].Col > fresh[0].Col:
			out, fresh = append(out, fresh[0]), fresh[1:]
		default:
			out, old, fresh = append(out, fresh[0]), old[1:], fresh[1:]
		}
	}
	return append(append(out, old...), fresh...)
}

// Delete removes the rows with exactly these keys; one that is not there is no error.
func (m *Mem) Delete(ctx context.Context, rows []jauge.Record) error {
	if err := m.begin(ctx, OpDelete, rows); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range rows {
		r := &rows[i]
		if r.Schema == nil || len(r.Tags) != len(r.Schema.Tags) {
			return errors.New("delete row: a key needs a schema and all its tags")
		}
		delete(m.tables[r.Schema.Measurement][partOf(r)], r.Key())
	}
	return nil
}

// Read gives the rows that match as they are when it begins, by time, rows of one instant by their tags.
func (m *Mem) Read(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error] {
	return func(yield func(jauge.Record, error) bool) {
		if err := m.begin(ctx, OpRead, nil); err != nil {
			yield(jauge.Record{}, err)
			return
		}
		rows, err := m.find(q)
		if err != nil {
			yield(jauge.Record{}, err)
			return
		}
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				yield(jauge.Record{}, fmt.Errorf("read %s: %w", q.Measurement, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *Mem) find(q jauge.Query) ([]jauge.Record, error) {
	f, err := newFilter(q)
	if err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []jauge.Record
	for p, t := range m.tables[q.Measurement] {
		if !f.mayHold(p) {
			continue
		}
		for _, r := range t {
			if f.match(&r) {
				if r, ok := f.project(r); ok {
					out = append(out, r)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b jauge.Record) int {
		c := compare(a, b)
		if q.Desc {
			return -c
		}
		return c
	})
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, nil
}

// Prune removes the history rows that are older than before.
func (m *Mem) Prune(ctx context.Context, before time.Time) error {
	if err := m.begin(ctx, OpPrune, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, parts := range m.tables {
		if !jauge.SchemaOf(name).History {
			continue
		}
		for _, t := range parts {
			for k, r := range t {
				if r.Time < nanos(before) {
					delete(t, k)
				}
			}
		}
	}
	return nil
}

// All gives every row of a measurement in the order of Read, for comparing stores row by row.
func (m *Mem) All(name jauge.Measurement) []jauge.Record {
	rows, err := m.find(jauge.Query{Measurement: name})
	if err != nil {
		return nil
	}
	return rows
}

func clone(r jauge.Record) jauge.Record {
	r.Tags, r.Values = slices.Clone(r.Tags), slices.Clone(r.Values)
	return r
}

func partOf(r *jauge.Record) part { return part{r.Tag("platform"), r.Tag("account")} }

// compare orders rows by time, those of one instant by their tags.
func compare(a, b jauge.Record) int {
	switch {
	case a.Time < b.Time:
		return -1
	case a.Time > b.Time:
		return 1
	}
	return slices.CompareFunc(a.Tags, b.Tags, strings.Compare)
}

// nanos gives an instant in Unix nanoseconds, the nearest possible one for instants far away.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}
