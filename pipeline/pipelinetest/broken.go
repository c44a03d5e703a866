package pipelinetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
)

// ErrBroken is what a broken store answers.
var ErrBroken = errors.New("the store is gone")

// Breaking is a store that breaks: after so many writes and deletes it does part of one, fails it, and goes on failing
// until it is mended. This is what a crash looks like from the store.
type Breaking struct {
	pipeline.Store
	mu     sync.Mutex
	random *rand.Rand
	left   int // writes and deletes until it breaks; negative: never
	broken bool
}

// NewBreaking wraps a store that does not break until Break is called.
func NewBreaking(s pipeline.Store, r *rand.Rand) *Breaking {
	return &Breaking{Store: s, random: r, left: -1}
}

// Break lets n more writes or deletes pass and breaks in the next one.
func (b *Breaking) Break(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.broken = n, false
}

// Mend makes the store whole again, and tells whether it was broken.
func (b *Breaking) Mend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.broken
	b.left, b.broken = -1, false
	return was
}

// Write writes the rows, or some of them and an error.
func (b *Breaking) Write(ctx context.Context, rows []jauge.Record) error {
	return b.do(ctx, rows, b.Store.Write)
}

// Delete deletes the rows, or some of them and an error.
func (b *Breaking) Delete(ctx context.Context, rows []jauge.Record) error {
	return b.do(ctx, rows, b.Store.Delete)
}

func (b *Breaking) do(ctx context.Context, rows []jauge.Record, call func(context.Context, []jauge.Record) error) error {
	b.mu.Lock()
	breaks := b.left == 0 && !b.broken
	switch {
	case breaks:
		b.broken = true
		rows = rows[:b.random.IntN(len(rows)+1)]
	case b.left > 0:
		b.left--
	}
	broken := b.broken
	b.mu.Unlock()
	if broken && !breaks {
		return ErrBroken
	}
	if err := call(ctx, rows); err != nil {
		return err
	}
	if breaks {
		return ErrBroken
	}
	return nil
}
