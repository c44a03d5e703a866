package journal

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// keepEvery is how often the keeper looks unasked.
	keepEvery = 2 * time.Second
	// spaceEvery is how old a look at the disk may be for Append.
	spaceEvery = 200 * time.Millisecond
	// silentBefore is how many publishes in a row may go unanswered by a server that says it is well.
	silentBefore = 3
	// reopenWithin bounds one attempt to reopen.
	reopenWithin = 30 * time.Second
	// spaceShare: the journal keeps at most one part in so many of the disk free.
	spaceShare = 16
)

// diskLow tells whether the disk below the journal has less free than the journal leaves to others.
func diskLow(cfg Config) bool {
	free, size, ok := space(cfg.Dir)
	return ok && free < min(cfg.MinFree, size/spaceShare)
}

// diskFull tells whether an error, or a failure whose cause nobody names, is that of a full disk.
func diskFull(cfg Config, err error) bool {
	return errors.Is(err, syscall.ENOSPC) || isNoSpace(err) || diskLow(cfg)
}

// lowSpace is diskLow, looked up at most every spaceEvery.
func (j *Journal) lowSpace() bool {
	if !j.embedded() {
		return false
	}
	now := time.Now().UnixNano()
	at := j.spaceAt.Load()
	if now-at < int64(spaceEvery) || !j.spaceAt.CompareAndSwap(at, now) {
		return j.spaceLow.Load()
	}
	low := diskLow(j.cfg)
	if j.spaceLow.Swap(low) != low {
		if low {
			j.log.Error("journal takes no pages: its disk is full", "dir", j.cfg.Dir)
		} else {
			j.log.Info("journal takes pages again: its disk has space")
		}
	}
	return low
}

// look asks the keeper to look at the server now.
func (j *Journal) look() {
	select {
	case j.poke <- struct{}{}:
	default:
	}
}

// keep watches over the embedded server: one that cannot store any more answers with silence and stays so when the
// cause is gone, until it is closed and opened again.
func (j *Journal) keep(ctx context.Context) {
	t := time.NewTicker(keepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-j.poke:
		}
		j.lowSpace()
		if j.full.Load() {
			j.stillFull(ctx)
		}
		if j.embedded() {
			if err := j.sick(); err != nil {
				j.mend(ctx, err)
			}
		}
	}
}

// sick says what is wrong with the current session's server.
func (j *Journal) sick() error {
	j.mu.Lock()
	s, trouble := j.cur, j.trouble
	j.mu.Unlock()
	if s == nil {
		if trouble == nil {
			trouble = errors.New("there is no server")
		}
		return trouble
	}
	if err := ailment(s.srv); err != nil {
		return err
	}
	if s.nc.IsClosed() {
		return errors.New("connection to the embedded server has ended")
	}
	if n := j.timeouts.Load(); n >= silentBefore {
		return fmt.Errorf("embedded server left %d publishes unanswered", n)
	}
	return nil
}

// mend waits for space where that is what lacks, and reopens the server, until it is well or ctx ends.
func (j *Journal) mend(ctx context.Context, cause error) {
	j.reopening.Store(true)
	defer j.reopening.Store(false)
	j.log.Error("journal cannot store", "error", cause.Error(), "dir", j.cfg.Dir)
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	for ctx.Err() == nil {
		if diskLow(j.cfg) {
			j.setTrouble(ErrDiskFull)
			pause(ctx, keepEvery/4)
			continue
		}
		j.setTrouble(fmt.Errorf("journal is being reopened: %w", cause))
		err := j.reopen(ctx)
		if err == nil {
			j.met.reopened.Inc()
			j.log.Info("journal was reopened and takes pages again")
			return
		}
		if ctx.Err() != nil {
			return
		}
		j.log.Warn("journal could not be reopened yet", "error", err.Error())
		if diskFull(j.cfg, err) {
			j.setTrouble(ErrDiskFull)
		}
		pause(ctx, wait.NextBackOff())
		cause = err
	}
}

// reopen ends the current session and begins a new one. What was delivered and is still held by the pipeline keeps
// its place: see held.
func (j *Journal) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reopenWithin, errors.New("reopening took too long"))
	defer cancel()
	j.mu.Lock()
	s := j.cur
	j.cur = nil
	life := j.life
	j.mu.Unlock()
	if s != nil {
		if err := s.end(ctx); err != nil {
			return err
		}
	}
	s, err := j.openSession(ctx)
	if err != nil {
		return err
	}
	j.install(life, s)
	return nil
}

// pause waits so long, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// stillFull clears the note that the work stream is full once it has room again.
func (j *Journal) stillFull(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	s, err := j.session(ctx)
	if err != nil {
		return
	}
	info, err := s.work.Info(ctx)
	if err != nil {
		return
	}
	if info.State.Bytes+mostBody < uint64(info.Config.MaxBytes) && j.full.Swap(false) { //nolint:gosec // a positive bound
		j.log.Info("journal takes pages again: its work stream has room")
	}
}

// Health says in words what keeps the journal from taking pages, or what it has lost; nil where it is well.
func (j *Journal) Health() error {
	j.mu.Lock()
	trouble, lost, aside, open := j.trouble, j.lost, j.aside, j.life != nil && j.life.Err() == nil
	s := j.cur
	j.mu.Unlock()
	var errs []error
	switch {
	case !open:
		errs = append(errs, ErrClosed)
	case trouble != nil:
		errs = append(errs, trouble)
	case s != nil && !s.nc.IsConnected():
		errs = append(errs, errors.New("journal is not connected to its server"))
	case j.spaceLow.Load():
		errs = append(errs, ErrDiskFull)
	case j.full.Load():
		errs = append(errs, fmt.Errorf("work stream is at its bound of %d bytes, collectors wait: %w", j.cfg.MaxBytes, ErrFull))
	}
	if aside != "" {
		errs = append(errs, fmt.Errorf("an unreadable journal was put aside in %s", aside))
	}
	if lost != nil {
		errs = append(errs, fmt.Errorf("damage on disk: %w", lost))
	}
	return errors.Join(errs...)
}
