package storagetest

import (
	"context"
	"fmt"

	"jauge.dev/jauge"
)

// Op names a call of a store.
type Op string

// The calls that can be counted and made to fail.
const (
	OpOpen   Op = "open"
	OpPing   Op = "ping"
	OpWrite  Op = "write"
	OpDelete Op = "delete"
	OpRead   Op = "read"
	OpPrune  Op = "prune"
)

// Calls counts what a Mem was asked for, failed calls included; Rows are the rows stored by Write.
type Calls struct {
	Writes, Deletes, Reads, Rows int
}

type faults struct {
	hook   func(op Op, n int, rows []jauge.Record) error
	reject func(r *jauge.Record) string
}

// Fault has f called at the beginning of every call, with the number of the call among those of its op (from 1) and
// the rows of a Write or Delete. Where f returns an error, the call fails with it and changes nothing. f may block,
// and may be called by several goroutines. nil ends the faults.
func (m *Mem) Fault(f func(op Op, n int, rows []jauge.Record) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.hook = f
}

// FailWrite makes the n-th Write from now on fail once, temporarily; n counts from 1.
func (m *Mem) FailWrite(n int) { m.FailWrites(n, n) }

// FailWrites makes the Writes number first to last from now on fail temporarily, with ReasonNetwork; they count from
// 1. It replaces earlier faults.
func (m *Mem) FailWrites(first, last int) {
	done := m.Calls().Writes
	m.Fault(func(op Op, n int, _ []jauge.Record) error {
		if n -= done; op != OpWrite || n < first || n > last {
			return nil
		}
		return &jauge.Error{Op: "write rows", Reason: jauge.ReasonNetwork, Err: fmt.Errorf("injected fault in write %d", n)}
	})
}

// Reject has Write refuse for good each row for which f gives a reason; nil ends it.
func (m *Mem) Reject(f func(r *jauge.Record) string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.reject = f
}

// Calls tells what the store was asked for so far.
func (m *Mem) Calls() Calls {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.calls
}

// begin counts a call and lets the faults have their say, outside the lock so that a fault may block.
func (m *Mem) begin(ctx context.Context, op Op, rows []jauge.Record) error {
	m.mu.Lock()
	n := 0
	switch op {
	case OpWrite:
		m.calls.Writes++
		n = m.calls.Writes
	case OpDelete:
		m.calls.Deletes++
		n = m.calls.Deletes
	case OpRead:
		m.calls.Reads++
		n = m.calls.Reads
	case OpOpen, OpPing, OpPrune:
		n = 1
	}
	hook := m.faults.hook
	m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if hook == nil {
		return nil
	}
	return hook(op, n, rows)
}
