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
	"jauge.dev/jauge/collectors"
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
	clients Clients
	log     *slog.Logger
	metrics *metrics

	dir   *Directory
	lanes map[jauge.Platform]*lane
	order []jauge.Platform
	locks locks

	groups   sync.WaitGroup // scheduled runs
	started  atomic.Bool
	stopping chan struct{} // closed when Run was told to end
	refusals refusals

	mu      sync.Mutex
	running map[int64]*account // to tell a run that its account was taken out of config
	syncing sync.RWMutex       // Sync writes; whoever changes directory or tables meanwhile reads
}

// New makes a scheduler; it touches neither disk nor network nor clock.
func New(cfg Config, deps Deps) (*Scheduler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	s := &Scheduler{
		cfg: cfg, ladder: cfg.Ladder, state: deps.State, append: deps.Appender, clients: deps.Clients, log: deps.Log,
		dir: newDirectory(), lanes: map[jauge.Platform]*lane{}, stopping: make(chan struct{}),
		running: map[int64]*account{},
	}
	if len(s.ladder) == 0 {
		s.ladder = DefaultLadder()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clients == nil {
		s.clients = noClient
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
			pending: map[int64]wait{}, group: max(1, p.Group),
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
	<-ctx.Done()
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

// tickEvery is the cron schedule of a lane's ticks.
type tickEvery time.Duration

// Next returns the next multiple of the tick.
func (t tickEvery) Next(now time.Time) time.Time {
	return now.Truncate(time.Duration(t)).Add(time.Duration(t))
}

// wait says what a pending account waits for.
type wait uint8

const (
	waitsLater wait = iota + 1 // for an instant of its own
	waitsTurn                  // in the queue, or running
)

// lane is the scheduled work of one platform.
type lane struct {
	s         *Scheduler
	platform  collectors.Platform
	collector collectors.Collector
	group     int

	mu      sync.Mutex
	firing  firing
	table   table
	queue   queue
	later   later
	pending map[int64]wait
	last    time.Time // up to here turns were taken
	running int       // groups
	closed  bool
}

// start begins to count turns now and returns how often to tick: often enough to spread the work, seldom enough for
// groups to fill.
func (l *lane) start(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = now
	every := l.firing.window(now).length() / 60
	return min(longestTick, max(time.Second, every.Truncate(time.Second)))
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// tick queues the accounts whose turn has come and starts groups.
func (l *lane) tick(ctx context.Context, now time.Time) {
	l.mu.Lock()
	for _, e := range l.table.take(&l.firing, l.last, now) {
		switch l.pending[e.ref] {
		case waitsLater: // comes anyway, soon
		case waitsTurn:
			l.s.metrics.run(l.platform.Name, collectors.TaskRefresh, outcomeOverlap)
		default:
			l.pending[e.ref] = waitsTurn
			l.queue.push(e)
		}
	}
	l.last = now // also where the clock was set back: then turns are taken again, and skipped as too early
	for _, e := range l.later.due(now) {
		l.pending[e.ref] = waitsTurn
		l.queue.push(e)
	}
	l.pump(ctx)
	l.mu.Unlock()
}

// pump starts groups while there are some waiting and slots free. The lane is locked.
func (l *lane) pump(ctx context.Context) {
	for !l.closed && l.running < l.s.cfg.Parallel {
		refs := l.queue.pop(l.group)
		if refs == nil {
			return
		}
		l.running++
		l.s.groups.Go(func() {
			retries := l.s.scheduled(ctx, l, refs)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.running--
			for _, ref := range refs {
				delete(l.pending, ref)
			}
			for _, a := range retries {
				l.pending[a.ref] = waitsLater
				l.later.put(a.at, a.entry)
			}
			l.pump(ctx)
		})
	}
}

// scheduled runs a group whose turn has come and returns the retries that it asks for.
func (s *Scheduler) scheduled(ctx context.Context, l *lane, refs []int64) []appointment {
	res, err := s.runGroup(ctx, l, work{task: collectors.TaskRefresh, refs: refs, scheduled: true})
	if err != nil {
		if !errors.Is(err, errStopping) && ctx.Err() == nil {
			s.log.Error("group of accounts could not be run", "platform", l.platform.Name, "accounts", len(refs), "error", err)
		}
		return nil
	}
	var out []appointment
	for _, a := range res {
		if at, ok := s.retryAt(l, a); ok {
			out = append(out, appointment{at, entry{ref: a.f.Ref, host: l.hostOf(a.f.Configured)}})
		}
	}
	return out
}

func (l *lane) hostOf(configured string) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.hostIDs[hostOf(configured)]
}

// retryAt says when a failed run is tried again: within the account's interval, a bounded number of times, and only
// where that may help without anybody's help.
func (s *Scheduler) retryAt(l *lane, a *account) (time.Time, bool) {
	tries := a.f.Failure.Count // before this failure
	if a.err == nil || s.stopped() || tries >= s.cfg.Retries || !jauge.ReasonOf(a.err).Temporary() {
		return time.Time{}, false
	}
	wait := s.cfg.RetryAfter << (2 * tries)
	if e, ok := errors.AsType[*jauge.Error](a.err); ok {
		wait = max(wait, e.RetryAfter)
	}
	now := time.Now().UTC()
	at := now.Add(jitter(wait))
	return at, at.Before(l.nextTurn(a.f.Configured, now))
}

// nextTurn is when an account's next regular run begins, give or take a tick.
func (l *lane) nextTurn(configured string, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := phaseOf(l.platform.Name, configured)
	w := l.firing.window(now)
	if at := w.at(p); at.After(now) {
		return at
	}
	next := l.firing.find(w.end)
	return next.at(p)
}

// lastTurn is when an account's turn came last. The lane is locked.
func (l *lane) lastTurn(p phase, now time.Time) time.Time {
	w := l.firing.window(now)
	if at := w.at(p); !at.After(now) {
		return at
	}
	prev := l.firing.before(w)
	return prev.at(p)
}
