package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"jauge.dev/jauge"
)

// What upkeep waits between tries while the store does not answer.
const (
	upkeepFirst = 500 * time.Millisecond
	upkeepMax   = 15 * time.Second
	pruneEvery  = 24 * time.Hour
)

// upkeep does what follows from a configuration and may take the store some time: it fills a memory that was lost,
// moves the rows of accounts that changed their brand, and takes accounts that were removed out of roll-ups. Every
// step is safe to repeat; what was cut short is found again at the next start.
func (a *App) upkeep(ctx context.Context) error {
	if err := a.remember(ctx); err != nil {
		return err
	}
	moves, err := a.state.Moves(ctx)
	if err != nil {
		return fmt.Errorf("list rows to be moved: %w", err)
	}
	for _, m := range moves {
		if err := a.workers.pipeline.Move(ctx, m.Account.Key(), m.From); err != nil {
			return err
		}
		if err := a.state.Moved(ctx, m.Account.Key(), m.From); err != nil {
			return fmt.Errorf("note that rows were moved: %w", err)
		}
		a.log.Info("rows moved to another brand", "account", m.Account.Key().String(), "from", m.From, "to", m.Account.Brand)
	}
	return a.rollUp(ctx)
}

// remember fills a memory that was lost or is new from the store, once.
func (a *App) remember(ctx context.Context) error {
	if a.remembered || !a.state.NeedsRebuild() {
		return nil
	}
	if err := a.state.Rebuild(ctx, a.store.Read); err != nil {
		return fmt.Errorf("fill the scheduler's memory: %w", err)
	}
	a.remembered = true
	return a.follow(ctx, nil) // puts back those that config lists
}

// rollUp brings up to date the roll-ups of brands that an account left lately. A removal older than the longest window
// has been through here at every start since.
func (a *App) rollUp(ctx context.Context) error {
	since := jauge.DayOf(time.Now(), time.UTC) - jauge.Day(jauge.WindowDays28.Days()) //nolint:gosec // 28
	from := map[string]jauge.Day{}
	for f, err := range a.state.Roster(ctx) {
		if err != nil {
			return fmt.Errorf("list removed accounts: %w", err)
		}
		if f.Removed.IsZero() || f.Account.ID == "" {
			continue
		}
		d := jauge.DayOf(f.Removed, time.UTC)
		if first, ok := from[f.Account.Brand]; d >= since && (!ok || d < first) {
			from[f.Account.Brand] = d
		}
	}
	for brand, d := range from {
		if err := a.workers.pipeline.RollUp(ctx, brand, d); err != nil {
			return fmt.Errorf("bring roll-ups of brand %s up to date: %w", brand, err)
		}
	}
	return nil
}

// prune removes history older than its retention, at the start and once a day.
func (a *App) prune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if err := a.store.Prune(ctx, time.Now().Add(-a.store.HistoryRetention())); err != nil && ctx.Err() == nil {
			a.log.Warn("history could not be pruned, which is tried again in a day", "error", err.Error())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// process does upkeep, then runs the pipeline until ctx ends. A change is made while neither is under way: rows must
// stand under their brand before new ones are computed from them.
func (a *App) process(ctx context.Context, changes <-chan func()) error {
	src := &handover{src: a.journal}
	for {
		run, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		a.upkept.Store(false)
		go func() { done <- a.processUntil(run, src) }() // awaited below, on every way
		select {
		case err := <-done:
			stop()
			return err
		case change := <-changes:
			stop()
			if err := <-done; err != nil {
				return err
			}
			change()
		}
	}
}

func (a *App) processUntil(ctx context.Context, src *handover) error {
	if err := a.upkeepUntilDone(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	a.upkept.Store(true)
	src.next()
	return a.workers.pipeline.Run(ctx, src)
}

// upkeepUntilDone repeats upkeep while the store does not answer.
func (a *App) upkeepUntilDone(ctx context.Context) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = upkeepFirst, upkeepMax
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, a.upkeep(ctx) },
		backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			a.log.Warn("upkeep of the store failed and is tried again", "error", err.Error(), "wait", wait.String())
		}))
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to stop: the next start goes on
	}
	return err
}

// errReload is the cause with which workers are stopped to be replaced.
var errReload = errors.New("the configuration changed")
