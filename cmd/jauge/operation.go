package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/internal/web"
)

// operation is something that needs the data directory. Beside a running daemon, which owns the directory, the daemon
// does it, asked over its socket; else this process becomes the owner for as long as it takes. Request Q, progress P
// and result R are what crosses the socket.
type operation[Q, P, R any] struct {
	name string
	// parts is what must be open in this process; the daemon has everything.
	parts part
	do    func(ctx context.Context, a *App, req Q, progress func(P)) (R, error)
}

// command offers the operation to other processes.
func (o operation[Q, P, R]) command(a *App) web.Command {
	return func(ctx context.Context, request json.RawMessage, progress func(any)) (any, error) {
		var req Q
		if err := json.Unmarshal(request, &req); err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		return o.do(ctx, a, req, func(p P) { progress(p) })
	}
}

// perform does the operation, here or in the daemon. A result may come with an error.
func (o operation[Q, P, R]) perform(cmd *cobra.Command, c *cli, cfg *configs.Config, req Q, progress func(P)) (R, error) {
	var result R
	app, err := newApp(cfg, c.logger(cfg, true), c.platforms)
	if err != nil {
		return result, err
	}
	err = app.Open(cmd.Context(), o.parts)
	if busy, ok := errors.AsType[*busyError](err); ok {
		return o.remote(cmd.Context(), cfg, busy, req, progress)
	}
	if err == nil {
		err = app.working(cmd.Context(), func(ctx context.Context) (err error) {
			result, err = o.do(ctx, app, req, progress)
			return err
		})
	}
	return result, errors.Join(err, app.Stop(context.WithoutCancel(cmd.Context())))
}

// remote has the daemon do it.
func (o operation[Q, P, R]) remote(ctx context.Context, cfg *configs.Config, busy *busyError, req Q, progress func(P)) (R, error) {
	var result R
	path := cfg.Path(socketName)
	if _, err := os.Stat(path); err != nil {
		return result, fmt.Errorf("%w; it takes no commands", busy)
	}
	hc := web.Dial(path)
	defer hc.CloseIdleConnections()
	err := web.Call(ctx, hc, o.name, req, func(b json.RawMessage) {
		var p P
		if json.Unmarshal(b, &p) == nil && progress != nil { // progress is for the eye: what cannot be read is left out
			progress(p)
		}
	}, &result)
	return result, err
}
