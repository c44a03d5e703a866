package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"jauge.dev/jauge"
)

var (
	errStopping = errors.New("the scheduler is stopping")
	errRemoved  = errors.New("the account was taken out of the configuration")
)

// longestTick bounds how late a run may begin after its turn, for the sake of fuller groups.
const longestTick = 30 * time.Second

// hardStop is how long Run waits for groups whose context it has ended.
const hardStop = 5 * time.Second

// Scheduler reads accounts when their time has come, and when it is asked to.
type Scheduler struct {
	cfg     Config
	ladder  Ladder
	state   State
	append  Appender
	access  Access
	log     *slog.Logger
	metrics *metrics

	dir   *Directory
	lanes map[jauge.Platform]*lane
	order []jauge.Platform
	locks locks

	groups   sync.WaitGroup // scheduled runs
	started  atomic.Bool
	stopping chan struct{} // closed when Run was told to end
	kick     chan struct{} // somebody was woken: do not wait for the next tick
	refusals refusals

	mu      sync.Mutex
	running map[int64]*account // to tell a run that its account was taken out of config
	parked  map[int64]string   // accounts that are not read until somebody has acted, and why
	syncing sync.RWMutex       // Sync writes; whoever changes directory or tables meanwhile reads
}

// New makes a scheduler; it touches neither disk nor network nor clock.
func New(cfg Config, deps Deps) (*Scheduler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	s := &Scheduler{
		cfg: cfg, ladder: cfg.Ladder, state: deps.State, append: deps.Appender, access: deps.Access, log: deps.Log,
		dir: newDirectory(), lanes: map[jauge.Platform]*lane{}, stopping: make(chan struct{}),
		running: map[int64]*account{}, parked: map[int64]string{}, kick: make(chan struct{}, 1),
	}
	if len(s.ladder) == 0 {
		s.ladder = DefaultLadder()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.access == nil {
		s.access = AccessFunc(noAccess)
	}
	for _, p := range deps.Platforms {
		spec := p.Every
		if own, ok := cfg.Every[p.Name]; ok {
			spec = own
		}
		parsed, err := parseSpec(spec)
		if err != nil {
			return nil, fmt.Errorf("schedule of %s: %w", p.Name, err)
		}
		s.order = append(s.order, p.Name)
		s.lanes[p.Name] = &lane{
			s: s, platform: p, collector: p.New(deps.Bases[p.Name]), firing: firing{spec: parsed},
			pending: map[int64]pending{}, woken: map[int64]struct{}{}, group: max(1, p.Group),
		}
	}
	for p := range cfg.Every {
		if s.lanes[p] == nil {
			return nil, fmt.Errorf("schedule of %s: no such platform", p)
		}
	}
	var err error
	s.metrics, err = newMetrics(deps.Metrics, s)
	return s, err
}

// Directory tells which brand an account belongs to; it follows Sync and every resolved handle.
func (s *Scheduler) Directory() *Directory { return s.dir }

// Run schedules until ctx ends, then lets running groups end after their current page, for Config.Grace at most, and
// cancels what is left. It returns when every goroutine that it started has ended, or with an error where a collector
// does not heed its context. It may be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	if !s.started.CompareAndSwap(false, true) {
		return errors.New("the scheduler was started before: make a new one")
	}
	runs, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(errStopping)
	clock := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(cron.DiscardLogger))
	for _, p := range s.order {
		l := s.lanes[p]
		every := l.start(time.Now().UTC())
		l.tick(runs, time.Now().UTC())
		// One entry per platform and task. It fires more often than the platform's spec, since each firing takes only
		// the accounts whose turn has come within the spec's interval.
		clock.Schedule(tickEvery(every), cron.FuncJob(func() { l.tick(runs, time.Now().UTC()) }))
	}
	clock.Start()
	s.kicked(ctx, runs)
	ticks := clock.Stop() // ends when the last tick has
	close(s.stopping)
	for _, l := range s.lanes {
		l.close()
	}
	<-ticks.Done()
	ended := make(chan struct{})
	go func() {
		s.groups.Wait()
		close(ended)
	}()
	if waited(ended, s.cfg.Grace) {
		return nil
	}
	cancel(errStopping)
	if waited(ended, hardStop) {
		return nil
	}
	return fmt.Errorf("stop scheduler: a collector did not end within %s of being cancelled", hardStop)
}

// kicked lets lanes look at who was woken, until ctx ends.
func (s *Scheduler) kicked(ctx, runs context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
		for _, p := range s.order {
			s.lanes[p].tick(runs, time.Now().UTC())
		}
	}
}

func waited(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// stopped tells whether Run was told to end.
func (s *Scheduler) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
