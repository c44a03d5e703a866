package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const settleEvery = 20 * time.Millisecond

// settled waits until everything that the journal held when it was called is in the store, with what follows from it.
// It gives up when nothing moved for as long as wait says: what was read stays in the journal.
func (a *App) settled(ctx context.Context, wait time.Duration, tell func(progress)) error {
	began := time.Now()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	least, moved := -1, began
	for {
		n, oldest, err := a.journal.Pending(ctx)
		if err == nil && (n == 0 || oldest.After(began)) && a.upkept.Load() {
			return nil // what came in later is somebody else's
		}
		if err == nil && (least < 0 || n < least) {
			least, moved = n, time.Now()
			tell(progress{What: "pages wait for the store", Done: n})
		}
		if time.Since(moved) > wait {
			return a.stuck(ctx, n, wait, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the store: %w", context.Cause(ctx))
		}
	}
}

// stuck says what keeps pages from the store.
func (a *App) stuck(ctx context.Context, n int, wait time.Duration, err error) error {
	if err == nil {
		err = a.store.Ping(ctx)
	}
	if err == nil {
		err = errors.New("the store answers, see the log")
	}
	if n == 0 {
		return fmt.Errorf("rows could not be moved to another brand within %s: %w. The next start goes on with it", wait, err)
	}
	return fmt.Errorf("%s not stored after %s without progress: %w. "+
		"Nothing is lost: they are safe in the journal, and are stored by the next jauge run or jauge collect --once",
		plural(n, "page"), wait, err)
}
