package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// undo is a step that takes back one step of opening.
type undo struct {
	name string
	do   func(context.Context) error
}

// undos are taken back in reverse order, each once.
type undos struct {
	mu    sync.Mutex
	steps []undo
}

func (u *undos) push(name string, do func(context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.steps = append(u.steps, undo{name, do})
}

// all takes back everything that was pushed, the last first, and goes on where a step fails. ctx bounds the whole; it
// may be called again and has then nothing left to do.
func (u *undos) all(ctx context.Context, log *slog.Logger) error {
	u.mu.Lock()
	steps := u.steps
	u.steps = nil
	u.mu.Unlock()
	var errs []error
	for _, s := range slices.Backward(steps) {
		began := time.Now()
		if err := s.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", s.name, err))
		}
		log.Debug("closed", "part", s.name, "took", time.Since(began).String())
	}
	return errors.Join(errs...)
}
