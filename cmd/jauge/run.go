package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/internal/web"
)

const runHelp = `Runs the daemon: reads every account on schedule until it is stopped. Its pages, at the address that it listens on, show
the accounts and connect more; on an address other than loopback they ask for a password (jauge hash-password).

  GET /          the accounts, and how their grants are; /connect connects more
  GET /metrics   what Prometheus scrapes
  GET /healthz   200 while the process answers
  GET /readyz    every part with its state; 503 while one is degraded

The data directory belongs to one process. Other jauge commands that need it go to the daemon, over jauge.sock in that
directory. While the store is down, what is read waits in the journal.

SIGHUP reads the YAML file again: if it has a mistake the daemon keeps what it had, and says so in the log and in
/readyz. Settings of the environment need a new start. SIGTERM or SIGINT stops the daemon within 20 seconds; a second one
stops it at once, which loses nothing that was acknowledged.`

func newRun(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run the daemon", Long: runHelp, Args: cobra.NoArgs,
		Example: "  jauge run --config jauge.yaml --data-dir /var/lib/jauge\n  JAUGE_STORE=influx JAUGE_INFLUX_URL=http://influx:8086 jauge run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd, settingsOnly) // accounts may come from the pages alone
			if err != nil {
				return err
			}
			limitMemory(c.environ)
			app, err := newApp(cfg, c.logger(cfg, false), c.platforms)
			if err != nil {
				return err
			}
			err = app.Run(cmd.Context(), func() (*configs.Config, error) { return c.load(cmd, settingsOnly) })
			return errors.Join(err, app.Stop(context.WithoutCancel(cmd.Context())))
		},
	}
}

// Run is the daemon: it opens everything, answers, and works until ctx ends; load reads the configuration anew. Health
// is answered from the beginning, so that a long opening can be told from a dead process. Stop must follow.
func (a *App) Run(ctx context.Context, load func() (*configs.Config, error)) error {
	for _, w := range a.cfg.Warnings {
		a.log.Warn("setting is probably not meant", "warning", w)
	}
	f, err := a.listen(ctx)
	if err != nil {
		return err
	}
	// The addresses are answered until everything else has ended: their context does not end with ctx.
	answer, quiet := context.WithCancel(context.WithoutCancel(ctx))
	var front errgroup.Group
	front.Go(func() error { return f.serve(answer, a) })
	err = a.serve(ctx, f, load)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // it was told to stop while it opened its parts
	}
	quiet()
	return errors.Join(err, front.Wait())
}

// serve opens everything and works until ctx ends.
func (a *App) serve(ctx context.Context, f *front, load func() (*configs.Config, error)) error {
	if err := a.Open(ctx, partWork); err != nil {
		return err
	}
	site, err := a.pages(ctx, f.main.Addr().String(), f.health)
	if err != nil {
		return err
	}
	sock, err := web.ListenUnix(a.cfg.Path(socketName))
	if err != nil {
		return err
	}
	if aside := a.journal.PutAside(); aside != "" {
		a.log.Error("a journal that could not be opened was put aside", "kept_in", aside)
	}
	a.daemon.Store(true)
	a.readiness.opened.Store(true)
	f.show(site)
	a.log.Info("jauge runs", "version", readBuild().Version, "listen", f.main.Addr().String(), "pages", a.pagesAddress(f.main.Addr().String()), "data_dir", a.cfg.DataDir, "store", a.cfg.Store,
		"accounts", len(a.cfg.File.Accounts()))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return web.Serve(ctx, sock, web.Commands(a.commands()), a.log) })
	reloads := make(chan *configs.Config)
	g.Go(func() error { return a.watch(ctx, load, reloads) })
	g.Go(func() error { return a.renewGrants(ctx) })
	g.Go(func() error { return a.work(ctx, reloads) })
	err = g.Wait()
	a.log.Info("jauge stops")
	return err
}

// commands are what other processes may ask for over the socket.
func (a *App) commands() map[string]web.Command {
	return map[string]web.Command{
		opAccounts.name: opAccounts.command(a), opCollect.name: opCollect.command(a), opReplay.name: opReplay.command(a),
		opConnectBegin.name: opConnectBegin.command(a), opConnectComplete.name: opConnectComplete.command(a),
		opConnectStatic.name: opConnectStatic.command(a), opConnectFollow.name: opConnectFollow.command(a),
		opDisconnect.name: opDisconnect.command(a), opRotate.name: opRotate.command(a),
		opDeadLetters.name: opDeadLetters.command(a), opReplayDead.name: opReplayDead.command(a),
		opDiscardDead.name: opDiscardDead.command(a),
	}
}

// watch reads the configuration anew at every SIGHUP.
func (a *App) watch(ctx context.Context, load func() (*configs.Config, error), out chan<- *configs.Config) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
		case <-ctx.Done():
			return nil
		}
		cfg, err := load()
		if err != nil {
			a.refuse(err)
			continue
		}
		select {
		case out <- cfg:
		case <-ctx.Done():
			return nil
		}
	}
}

// refuse keeps the old configuration and says so.
func (a *App) refuse(err error) {
	a.log.Error("new configuration has mistakes, the old one stays in force", "mistakes", err.Error())
	a.readiness.refuse(fmt.Errorf("the file has mistakes, the old configuration stays in force: %w", err))
}

// work runs the workers, and replaces or instructs them when a new configuration comes.
func (a *App) work(ctx context.Context, reloads <-chan *configs.Config) error {
	for {
		next, err := a.workUntil(ctx, reloads)
		if err != nil || next == nil {
			return err
		}
		if err := a.replace(ctx, next); err != nil {
			return err
		}
	}
}

// drainTimeout bounds how long the pipeline goes on with what it has in hand once collecting has stopped.
const drainTimeout = 4 * time.Second

// workUntil runs scheduler, pipeline and upkeep until ctx ends, one of them fails, or a configuration comes that asks
// for other workers, which it returns. Collecting stops first, then the pipeline, so that what was read is stored.
func (a *App) workUntil(ctx context.Context, reloads <-chan *configs.Config) (*configs.Config, error) {
	collect, stopCollecting := context.WithCancelCause(ctx)
	defer stopCollecting(nil)
	process, stopProcessing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopProcessing()
	var g errgroup.Group
	part := func(name string, ctx context.Context, f func(context.Context) error) {
		g.Go(func() error {
			err := f(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			stopCollecting(err) // the daemon does not go on without one of its parts
			return err
		})
	}
	w := a.workers
	changes := make(chan func())
	part("pipeline", process, func(ctx context.Context) error { return a.process(ctx, changes) })
	part("prune", collect, a.prune)
	part("memory", collect, trim)
	part("grants", collect, a.followGrants)
	part("schedule", collect, func(ctx context.Context) error {
		defer a.drain(context.WithoutCancel(ctx), stopProcessing)
		return w.schedule.Run(ctx)
	})
	var next *configs.Config
	g.Go(func() error {
		next = a.heed(collect, reloads, changes)
		if next != nil {
			stopCollecting(errReload)
		}
		return nil
	})
	return next, g.Wait()
}

// drain lets the pipeline work off what is in the journal, within a bound, and then ends it.
func (a *App) drain(ctx context.Context, stop func()) {
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := a.store.Ping(ctx); err != nil {
		return // it would wait in vain: everything is in the journal
	}
	if err := a.settled(ctx, drainTimeout, func(progress) {}); err != nil {
		a.log.Info("what is not stored yet waits in the journal for the next start")
	}
}

// heed takes new configurations: those that only change accounts at once, while the pipeline pauses; one that asks for
// other workers is returned.
func (a *App) heed(ctx context.Context, reloads <-chan *configs.Config, changes chan<- func()) *configs.Config {
	for {
		var cfg *configs.Config
		select {
		case cfg = <-reloads:
		case <-ctx.Done():
			return nil
		}
		if !sameWork(&a.cfg.File, &cfg.File) {
			return cfg
		}
		applied := make(chan struct{})
		change := func() {
			defer close(applied)
			if err := a.adopt(ctx, cfg); err != nil {
				a.refuse(err)
			}
		}
		select {
		case changes <- change:
			<-applied
		case <-ctx.Done():
			return nil
		}
	}
}

// sameWork tells whether two configurations differ in accounts alone.
func sameWork(was, is *configs.File) bool {
	return reflect.DeepEqual(formulas(was), formulas(is)) && reflect.DeepEqual(was.Weights, is.Weights) &&
		reflect.DeepEqual(was.Basis, is.Basis) && reflect.DeepEqual(was.Schedules, is.Schedules) &&
		reflect.DeepEqual(was.Ladder, is.Ladder)
}

// formulas are the KPI entries without their places in the file.
func formulas(f *configs.File) []configs.KPI {
	out := make([]configs.KPI, len(f.KPIs))
	for i, k := range f.KPIs {
		k.Line = 0
		out[i] = k
	}
	return out
}

// adopt makes a new file's contents the ones in force.
func (a *App) adopt(ctx context.Context, cfg *configs.Config) error {
	if err := a.follow(ctx, &cfg.File); err != nil {
		return err
	}
	a.readiness.refuse(nil)
	a.log.Info("configuration read anew", "accounts", len(cfg.File.Accounts()))
	return nil
}

// replace makes new workers once no command uses the old ones any more.
func (a *App) replace(ctx context.Context, cfg *configs.Config) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.workers
	next := *a.cfg
	next.File = cfg.File
	next.Schedule.Every, next.Schedule.Ladder = cfg.Schedule.Every, cfg.Schedule.Ladder
	old.reg.unregister()
	w, err := a.newWorkers(&next)
	if err != nil {
		a.refuse(err)
		if w, err = a.newWorkers(a.cfg); err != nil {
			return err
		}
		a.workers = w
		return a.follow(ctx, nil)
	}
	a.workers = w
	a.cfg.Schedule = next.Schedule
	return a.adopt(ctx, cfg)
}
