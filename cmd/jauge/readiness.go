package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"jauge.dev/jauge/internal/web"
)

// readiness is what /readyz tells beside what the parts tell of themselves.
type readiness struct {
	opened atomic.Bool

	mu      sync.Mutex
	refused error // why the newest configuration was not taken
}

func (r *readiness) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = err
}

func (r *readiness) config(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

var errStarting = errors.New("is being opened")

// parts lists what /readyz asks.
func (a *App) parts() []web.Part {
	after := func(check func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			if !a.readiness.opened.Load() {
				return errStarting
			}
			return check(ctx)
		}
	}
	return []web.Part{
		{Name: "config", Check: a.readiness.config},
		{Name: "state", Check: after(func(context.Context) error {
			if a.state.Damaged() {
				return errors.New("state.db is damaged: it is put aside and made anew from the store at the next start")
			}
			return nil
		})},
		{Name: "vault", Check: after(func(ctx context.Context) error {
			if a.shared == nil || !a.cfg.Vaulted() {
				return nil
			}
			return a.shared.Ping(ctx)
		})},
		{Name: "journal", Check: after(func(context.Context) error { return a.journal.Health() })},
		{Name: "store", Check: after(func(ctx context.Context) error {
			if err := a.store.Ping(ctx); err != nil {
				return fmt.Errorf("%w: what is read waits in the journal", err)
			}
			return nil
		})},
	}
}
