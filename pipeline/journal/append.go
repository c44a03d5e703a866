package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
)

const (
	opAppend = "append page to journal"
	// unknownFor bounds how long a publish without an answer is repeated; the caller may go on with the same page.
	unknownFor = 30 * time.Second
)

// Append puts a page on disk: it returns nil only after the server has acknowledged every part of it behind an fsync.
// A page that is too big for one message is cut into parts between its observations.
//
// A journal that takes no more gives an error that is ErrFull, and ErrDiskFull where it is the disk: wait, and append
// the same page again. After any other error the outcome may be unknown, and the same holds: a repeated page is one
// message while the server knows its id, and harmless after that.
func (j *Journal) Append(ctx context.Context, page jauge.Page) error {
	if page.Run == "" || page.Platform == "" {
		return &jauge.Error{Op: opAppend, Reason: jauge.ReasonBadRequest, Err: errors.New("page bears no run or platform")}
	}
	addr, err := address(page.Key())
	if err != nil {
		return &jauge.Error{Op: opAppend, Reason: jauge.ReasonBadRequest, Err: err}
	}
	s, err := j.session(ctx)
	if err != nil {
		return j.refused(err)
	}
	parts, err := split(&page, addr, s.limit)
	if err != nil {
		return &jauge.Error{Op: opAppend, Reason: jauge.ReasonBadRequest, Err: err}
	}
	for i := range parts {
		m := nats.NewMsg(workPrefix + addr)
		m.Header.Set(jetstream.MsgIDHeader, parts[i].id)
		m.Data = parts[i].body
		if err := j.store(ctx, m); err != nil {
			return j.refused(err)
		}
	}
	return nil
}

// refused wraps an error for the collector.
func (j *Journal) refused(err error) error {
	switch {
	case errors.Is(err, ErrDiskFull):
		j.met.append(outcomeDiskFull)
		return fullError(opAppend, err)
	case errors.Is(err, ErrFull):
		j.met.append(outcomeFull)
		return fullError(opAppend, err)
	}
	j.met.append(outcomeFailed)
	return failure(opAppend, err)
}

// store publishes one message to the work stream. A publish without an answer is unknown: it is repeated under its id
// for as long as ctx and unknownFor allow.
func (j *Journal) store(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := context.WithTimeoutCause(ctx, unknownFor, fmt.Errorf("no answer in %s: %w", unknownFor, context.DeadlineExceeded))
	defer cancel()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, time.Second
	var last error
	for {
		s, err := j.session(ctx)
		if err != nil {
			return errors.Join(err, last)
		}
		if j.lowSpace() {
			return ErrDiskFull
		}
		ack, err := s.publish(ctx, m, j.cfg.Timeout)
		if err == nil {
			j.timeouts.Store(0)
			j.full.Store(false)
			j.met.append(outcome(ack))
			return nil
		}
		if isFull(err) {
			if !j.full.Swap(true) {
				j.log.Warn("journal takes no pages: its work stream is full", "max_bytes", j.cfg.MaxBytes)
			}
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
		if !isUnknown(err) {
			return err
		}
		if ctx.Err() == nil {
			j.timeouts.Add(1)
			j.met.unknown.Inc()
			j.look()
		}
		last = err
		pause(ctx, wait.NextBackOff())
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), last)
		}
	}
}

func outcome(ack *jetstream.PubAck) string {
	if ack.Duplicate {
		return outcomeDuplicate
	}
	return outcomeStored
}

// publish publishes once and awaits the answer.
func (s *session) publish(ctx context.Context, m *nats.Msg, within time.Duration) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return s.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
}
