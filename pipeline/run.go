package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
)

// How long the pipeline waits before it tries a store again that did not answer.
const (
	retryFirst = 100 * time.Millisecond
	retryMax   = 15 * time.Second
)

// Run works off the journal until ctx ends: one goroutine computes a batch while another writes the one before, and a
// third settles the one before that.
//
//	source.Next ─▶ compute ─▶│ store.Write history ─▶ store.Write rest ─▶│ source.Bury ─▶ source.Settle
//	               (memory, reads)  (retried until the store answers;         nothing is acknowledged before)
//
// What was computed and not settled when ctx ends comes again from the journal, and leads to the same rows.
func (p *Pipeline) Run(ctx context.Context, src Source) error {
	fl := &flight{}
	p.mu.Lock()
	p.buried, p.barrier = src.Buried, fl.wait
	err := p.readVoid(ctx)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	work := make(chan *job)
	g.Go(func() error {
		defer close(work)
		return p.computeAll(ctx, src, fl, work)
	})
	written := make(chan *job)
	g.Go(func() error {
		defer close(written)
		return p.writeAll(ctx, fl, work, written)
	})
	g.Go(func() error {
		for j := range written {
			if err := p.settle(ctx, src, j); err != nil {
				return err
			}
		}
		return nil
	})
	err = g.Wait()
	p.mu.Lock()
	p.barrier = func(context.Context) error { return nil }
	p.forget()
	p.mu.Unlock()
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

// job is a computed batch with the messages it came from.
type job struct {
	batch *batch
	msgs  []Message
}

func (p *Pipeline) computeAll(ctx context.Context, src Source, fl *flight, work chan<- *job) error {
	for {
		msgs, err := src.Next(ctx, max(1, p.cfg.BatchPages))
		if err != nil {
			return fmt.Errorf("take from the journal: %w", err)
		}
		b, err := p.computeRetrying(ctx, fl, msgs)
		if err != nil {
			return err
		}
		fl.start()
		select {
		case work <- &job{b, msgs}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// computeRetrying repeats a batch while the store cannot be read.
func (p *Pipeline) computeRetrying(ctx context.Context, fl *flight, msgs []Message) (*batch, error) {
	return retry(ctx, p, "compute a batch", func() (*batch, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		b, err := p.compute(ctx, msgs)
		if err == nil {
			p.evict()
			return b, nil
		}
		if e := fl.wait(ctx); e != nil {
			return nil, e
		}
		p.forget()
		return nil, err
	})
}

// writeAll stores what was computed, batch by batch.
func (p *Pipeline) writeAll(ctx context.Context, fl *flight, work <-chan *job, written chan<- *job) error {
	for j := range work {
		if _, err := retry(ctx, p, "write a batch", func() (struct{}, error) {
			return struct{}{}, p.writeBatch(ctx, j.batch)
		}); err != nil {
			return err
		}
		fl.done()
		j.batch.rows = rows{}
		select {
		case written <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// settle buries what could not be normalised and acknowledges the rest.
func (p *Pipeline) settle(ctx context.Context, src Source, j *job) error {
	_, err := retry(ctx, p, "settle a batch", func() (struct{}, error) {
		if letters := j.batch.letters; len(letters) > 0 {
			if err := src.Bury(ctx, letters); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, src.Settle(ctx, j.msgs)
	})
	return err
}

// retry repeats what failed until it succeeds or ctx ends.
func retry[T any](ctx context.Context, p *Pipeline, what string, f func() (T, error)) (T, error) {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = retryFirst, retryMax
	return backoff.Retry(ctx, f, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, next time.Duration) {
			p.met.retries.Inc()
			p.log.Warn("pipeline waits for what it needs", "what", what, "reason", jauge.ReasonOf(err), "error", err, "retry_in", next)
		}))
}

// flight counts the batches that are computed and not written yet.
type flight struct {
	mu   sync.Mutex
	n    int
	idle chan struct{}
}

func (f *flight) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 {
		f.idle = make(chan struct{})
	}
	f.n++
}

func (f *flight) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 {
		close(f.idle)
	}
}

// wait returns when all is written.
func (f *flight) wait(ctx context.Context) error {
	f.mu.Lock()
	n, idle := f.n, f.idle
	f.mu.Unlock()
	if n == 0 {
		return ctx.Err()
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
