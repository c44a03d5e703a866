package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge/pipeline"
)

var _ pipeline.Source = (*Journal)(nil)

// Journal is the journal. Its methods are safe for use by several goroutines; Next belongs to one reader.
type Journal struct {
	cfg Config
	log *slog.Logger
	met *metrics
	reg prometheus.Registerer

	lock  *flock.Flock
	stop  context.CancelCauseFunc
	loops sync.WaitGroup
	poke  chan struct{} // asks the keeper to look now

	mu      sync.Mutex
	life    context.Context // from Open to Close, for the scrape, which brings no context of its own
	cur     *session        // nil while there is none
	gen     int
	changed chan struct{} // closed and replaced whenever cur, state or the queue changes for waiters
	trouble error         // why the journal does not take pages now; nil where it does
	aside   string
	lost    error

	full     atomic.Bool  // the last Append was refused
	timeouts atomic.Int32 // publishes in a row without an answer

	held held

	spaceAt   atomic.Int64 // when the disk was last looked at, Unix nanoseconds
	spaceLow  atomic.Bool
	reopening atomic.Bool
}

// New makes a journal from its configuration; log and reg may be nil. It does no I/O.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Journal, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{cfg: cfg.withDefaults(), log: log, reg: reg, poke: make(chan struct{}, 1), changed: make(chan struct{})}
	j.held.init()
	j.met = newMetrics(j)
	return j, nil
}

func (j *Journal) embedded() bool { return j.cfg.URL == "" }

// Open opens the journal: it starts the embedded server or connects to the cluster, and starts the goroutines that
// keep it, which Close ends. A journal on a full disk is opened all the same: it takes pages when there is space
// again. ctx bounds the opening only.
func (j *Journal) Open(ctx context.Context) error {
	if err := j.take(); err != nil {
		return err
	}
	s, err := j.openSession(ctx)
	if err != nil && !(j.embedded() && diskFull(j.cfg, err)) {
		return errors.Join(err, j.release())
	}
	if j.reg != nil {
		if err := j.reg.Register(j.met); err != nil {
			if s != nil {
				err = errors.Join(err, s.end(ctx))
			}
			return errors.Join(fmt.Errorf("register metrics of journal: %w", err), j.release())
		}
	}
	life, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	j.mu.Lock()
	j.life, j.stop = life, stop
	j.mu.Unlock()
	if s != nil {
		j.install(life, s)
		j.lowSpace() // said from the start
	} else {
		j.setTrouble(ErrDiskFull)
		j.log.Error("journal has no space to open", "dir", j.cfg.Dir, "error", err.Error())
	}
	j.loops.Go(func() { j.keep(life) })
	j.loops.Go(func() { j.heartbeat(life) })
	return nil
}

// take makes the folder ours alone.
func (j *Journal) take() error {
	if !j.embedded() {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(j.cfg.Dir, storeName), dirMode); err != nil {
		return fmt.Errorf("make folder of journal: %w", err)
	}
	j.lock = flock.New(filepath.Join(j.cfg.Dir, lockName))
	ok, err := j.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock folder of journal: %w", err)
	}
	if !ok {
		j.lock = nil
		return fmt.Errorf("journal in %s is open in another process: stop that one first", j.cfg.Dir)
	}
	return nil
}

func (j *Journal) release() error {
	if j.lock == nil {
		return nil
	}
	l := j.lock
	j.lock = nil
	if err := l.Unlock(); err != nil {
		return fmt.Errorf("unlock folder of journal: %w", err)
	}
	return nil
}

// install makes a session the current one and starts its reader.
func (j *Journal) install(ctx context.Context, s *session) {
	ctx, s.stop = context.WithCancel(ctx)
	s.pumped = make(chan struct{})
	j.mu.Lock()
	j.gen++
	s.gen = j.gen
	j.cur, j.trouble = s, nil
	j.wakeLocked()
	j.mu.Unlock()
	j.timeouts.Store(0)
	go j.pump(ctx, s) // ended and awaited by session.end
}

// wakeLocked wakes whoever waits for a change.
func (j *Journal) wakeLocked() {
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *Journal) setTrouble(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trouble = err
	j.wakeLocked()
}

// session returns the current session, waiting for one while the server is being reopened. A journal without disk
// space gives ErrDiskFull at once.
func (j *Journal) session(ctx context.Context) (*session, error) {
	for {
		j.mu.Lock()
		s, trouble, changed, open := j.cur, j.trouble, j.changed, j.life != nil && j.life.Err() == nil
		j.mu.Unlock()
		switch {
		case !open:
			return nil, ErrClosed
		case trouble != nil && errors.Is(trouble, ErrDiskFull):
			return nil, trouble
		case s != nil && trouble == nil:
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for journal: %w", context.Cause(ctx))
		}
	}
}

// Close ends the goroutines, notes what is left and stops the server, within ctx. It is safe to call twice, and after
// an Open that failed. Messages that were not settled come again after the next Open.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	stop := j.stop
	j.stop = nil
	j.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop(ErrClosed)
	if j.reg != nil {
		j.reg.Unregister(j.met)
	}
	err := waitFor(ctx, &j.loops)
	j.mu.Lock()
	s := j.cur
	j.cur = nil
	j.wakeLocked()
	j.mu.Unlock()
	if s != nil {
		if j.embedded() && ctx.Err() == nil {
			noting, cancel := context.WithTimeout(ctx, time.Second)
			if nerr := j.note(noting, s, true); nerr != nil {
				j.log.Warn("journal could not note its end", "error", nerr.Error())
			}
			cancel()
		}
		err = errors.Join(err, s.end(ctx))
	}
	j.held.clear()
	return errors.Join(err, j.release())
}

func waitFor(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop journal: %w", context.Cause(ctx))
	}
}

// PutAside returns where a journal that could not be opened was put by Open, "" where none was.
func (j *Journal) PutAside() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.aside
}
