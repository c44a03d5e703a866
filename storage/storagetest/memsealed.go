package storagetest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"jauge.dev/jauge"
)

// MemSealed keeps sealed records in memory with exactly the meaning of the contract. It is safe for concurrent use and
// copies what it is given and what it hands out.
type MemSealed struct {
	mu      sync.Mutex
	records map[string]jauge.Sealed
	last    uint64
}

// NewMemSealed makes an empty one.
func NewMemSealed() *MemSealed { return &MemSealed{records: map[string]jauge.Sealed{}} }

// LoadSealed reads a record.
func (m *MemSealed) LoadSealed(ctx context.Context, key string) (jauge.Sealed, error) {
	if err := ctx.Err(); err != nil {
		return jauge.Sealed{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key]
	if !ok {
		return jauge.Sealed{}, &jauge.Error{Op: "load sealed record", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("there is no %s", key)}
	}
	r.Value = slices.Clone(r.Value)
	return r, nil
}

// SaveSealed makes or replaces a record.
func (m *MemSealed) SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if err := jauge.CheckSealed(key, value); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[key].Rev != rev {
		return 0, fmt.Errorf("save sealed record %s: %w", key, jauge.ErrStale)
	}
	m.last++
	m.records[key] = jauge.Sealed{Key: key, Value: slices.Clone(value), Rev: m.last}
	return m.last, nil
}

// DropSealed removes a record.
func (m *MemSealed) DropSealed(ctx context.Context, key string, rev uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key]
	switch {
	case !ok:
		return &jauge.Error{Op: "drop sealed record", Reason: jauge.ReasonNotFound, Err: jauge.ErrStale}
	case r.Rev != rev:
		return fmt.Errorf("drop sealed record %s: %w", key, jauge.ErrStale)
	}
	delete(m.records, key)
	return nil
}

// Sealed lists the records as they are when it begins.
func (m *MemSealed) Sealed(ctx context.Context, prefix string) iter.Seq2[jauge.Sealed, error] {
	return func(yield func(jauge.Sealed, error) bool) {
		m.mu.Lock()
		records := maps.Clone(m.records)
		m.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(records)) {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(jauge.Sealed{}, err)
				return
			}
			r := records[key]
			r.Value = slices.Clone(r.Value)
			if !yield(r, nil) {
				return
			}
		}
	}
}
