package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/rest"
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
	"jauge.dev/jauge/storage/natskv"
	"jauge.dev/jauge/storage/state"
)

// part says how much of the program is opened.
type part int

const (
	partVault   part = iota + 1 // the lock, the scheduler's memory and the vault
	partJournal                 // the lock and the journal
	partWork                    // everything
)

// App is the program with everything that it opened: the owner of the data directory.
//
//	lock ─▶ state ─▶ vault ─▶ journal ─▶ store ─▶ workers (scheduler, pipeline) ─▶ HTTP, socket
//	Stop goes back the other way; each step is named, bounded, and made once.
type App struct {
	cfg       *configs.Config
	log       *slog.Logger
	reg       *prometheus.Registry
	platforms []collectors.Platform
	clients   map[jauge.Platform]*http.Client

	state     *state.DB
	shared    *natskv.Store // what the vault lies in where replicas share it, else nil
	vault     *oauth.Vault
	providers []*oauth.Provider
	journal   *journal.Journal
	store     store
	undo      undos

	mu      sync.RWMutex // held for reading by whoever uses the workers, for writing while they are replaced
	workers *workers

	readiness readiness
	whole     atomic.Bool // everything is open
	daemon    atomic.Bool // accounts are read on schedule
	following sync.Mutex  // guards cfg.File

	remembered bool        // the memory was filled from the store, or had no need; belongs to Open, then to upkeep
	upkept     atomic.Bool // upkeep was done since the configuration changed last
}

// workers are the parts that a reload may replace: they were made from the YAML file.
type workers struct {
	pipeline *pipeline.Pipeline
	schedule *schedule.Scheduler
	reg      *scoped
}

// newApp makes an App; it does no I/O.
func newApp(cfg *configs.Config, log *slog.Logger, platforms []collectors.Platform) (*App, error) {
	own := make([]collectors.Platform, len(platforms)) // with the operator's versions
	for i, p := range platforms {
		own[i] = cfg.Platform(p)
	}
	a := &App{
		cfg: cfg, log: log, reg: prometheus.NewRegistry(), platforms: own, clients: map[jauge.Platform]*http.Client{},
	}
	a.reg.MustRegister(
		promcollectors.NewGoCollector(), promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{}),
	)
	if err := registerBuild(a.reg); err != nil {
		return nil, err
	}
	metrics, err := rest.NewMetrics(a.reg)
	if err != nil {
		return nil, fmt.Errorf("make metrics of the HTTP clients: %w", err)
	}
	for _, p := range own {
		deps := rest.Deps{Version: readBuild().Version, Metrics: metrics, Log: log, Exempt: []string{cfg.BaseURL[p.Name]}}
		if a.clients[p.Name], err = rest.NewClient(p, cfg.HTTP, deps); err != nil {
			return nil, fmt.Errorf("make HTTP client of %s: %w", p.Name, err)
		}
	}
	memory := cfg.State
	memory.NextDue = ladderOf(cfg).Next
	if a.state, err = state.New(memory, log); err != nil {
		return nil, fmt.Errorf("make the scheduler's memory: %w", err)
	}
	if err := a.newGrants(cfg, metrics); err != nil {
		return nil, err
	}
	if a.journal, err = journal.New(cfg.Journal, log, a.reg); err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	if a.store, err = newStore(cfg, log, a.reg); err != nil {
		return nil, fmt.Errorf("make the store: %w", err)
	}
	a.workers, err = a.newWorkers(cfg)
	if err == nil {
		err = a.reg.Register(rest.Sunsets(a.apis()))
	}
	return a, err
}

// newWorkers makes scheduler and pipeline from a configuration.
func (a *App) newWorkers(cfg *configs.Config) (*workers, error) {
	w := &workers{reg: &scoped{reg: a.reg}}
	var err error
	if w.schedule, err = schedule.New(cfg.Schedule, schedule.Deps{
		Platforms: a.platforms, Bases: cfg.BaseURL, State: a.state, Appender: a.journal, Log: a.log, Metrics: w.reg,
		Access: schedule.AccessFunc(a.access),
	}); err != nil {
		w.reg.unregister()
		return nil, fmt.Errorf("make the scheduler: %w", err)
	}
	if w.pipeline, err = pipeline.New(pipelineConfig(cfg, a.platforms, a.store.HistoryRetention()), pipeline.Deps{
		Store: a.store, Directory: w.schedule.Directory(), Log: a.log, Registerer: w.reg,
	}); err != nil {
		w.reg.unregister()
		return nil, fmt.Errorf("make the pipeline: %w", err)
	}
	return w, nil
}

// Open opens the parts in order. What was opened before a failure is closed by Stop. A store that is down is no
// failure: what is read waits in the journal.
func (a *App) Open(ctx context.Context, want part) error {
	lock, err := takeLock(a.cfg.DataDir)
	if err != nil {
		return err
	}
	a.undo.push("lock", func(context.Context) error { return lock.release() })
	if want != partJournal {
		if err := a.state.Open(ctx); err != nil {
			return fmt.Errorf("open the scheduler's memory: %w", err)
		}
		a.undo.push("state", func(context.Context) error { return a.state.Close() })
	}
	if want != partJournal {
		if err := a.openVault(ctx); err != nil {
			return err
		}
	}
	if want == partVault {
		return nil
	}
	if err := a.journal.Open(ctx); err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	a.undo.push("journal", a.journal.Close)
	if want == partJournal {
		return nil
	}
	a.undo.push("store", func(context.Context) error { return a.store.Close() })
	if err := a.store.Open(ctx); err != nil {
		a.log.Warn("store could not be opened, what is read waits in the journal", "store", a.cfg.Store, "error", err.Error())
	} else if err := a.remember(ctx); err != nil { // upkeep tries again
		a.log.Warn("scheduler's memory could not be filled yet", "error", err.Error())
	}
	if err := a.follow(ctx, nil); err != nil {
		return err
	}
	a.whole.Store(true)
	return nil
}

// follow tells the scheduler which accounts to read: those of a new file, or, with nil, those of the one in force.
func (a *App) follow(ctx context.Context, file *configs.File) error {
	a.following.Lock()
	defer a.following.Unlock()
	if file == nil {
		file = &a.cfg.File
	}
	var list []schedule.Configured
	for _, acc := range file.Accounts() {
		list = append(list, schedule.Configured{
			Platform: acc.Platform, Handle: acc.Handle, Brand: acc.Brand, Competitor: acc.Competitor,
		})
	}
	connected, err := a.connected(ctx, file)
	if err != nil {
		return err
	}
	changes, err := a.workers.schedule.Sync(ctx, append(list, connected...))
	if err != nil {
		return fmt.Errorf("tell the scheduler of the accounts: %w", err)
	}
	if file != &a.cfg.File {
		a.cfg.File = *file
	}
	for _, c := range changes {
		a.log.Info("account list changed", "change", string(c.Kind), "platform", string(c.Account.Platform),
			"handle", c.Account.Handle, "brand", c.Account.Brand, "former_brand", c.Was)
	}
	return nil
}

// working runs the pipeline for as long as f takes: for commands that do their work in this process.
func (a *App) working(ctx context.Context, f func(context.Context) error) error {
	if !a.whole.Load() { // the pipeline is not needed
		return f(ctx)
	}
	process, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	failed := make(chan struct{})
	g.Go(func() error {
		err := a.process(process, nil)
		if err != nil {
			close(failed)
			return fmt.Errorf("run the pipeline: %w", err)
		}
		return nil
	})
	do, cancel := context.WithCancel(ctx)
	defer cancel()
	g.Go(func() error {
		defer stop()
		return f(do)
	})
	g.Go(func() error {
		select {
		case <-failed:
			cancel()
		case <-process.Done():
		}
		return nil
	})
	return g.Wait()
}

const stopTimeout = 5 * time.Second // for everything that Stop closes: with what comes before it, below stopBound

// Stop closes what was opened, the last first, within a bound. It may be called after a failed Open, and twice.
func (a *App) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, errors.New("closing took too long"))
	defer cancel()
	return a.undo.all(ctx, a.log)
}

// scoped registers metrics and can take back all of them.
type scoped struct {
	reg  prometheus.Registerer
	mine []prometheus.Collector
}

// Register registers a collector.
func (s *scoped) Register(c prometheus.Collector) error {
	if err := s.reg.Register(c); err != nil {
		return err
	}
	s.mine = append(s.mine, c)
	return nil
}

// MustRegister registers collectors; two of one name are a mistake in the program.
func (s *scoped) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := s.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister takes a collector back.
func (s *scoped) Unregister(c prometheus.Collector) bool { return s.reg.Unregister(c) }

func (s *scoped) unregister() {
	for _, c := range s.mine {
		s.reg.Unregister(c)
	}
	s.mine = nil
}
