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

// Run works off the journal until ctx ends: one goroutine computes a batch while others write the readings of the one
// before, write what follows from those of the one before that, and settle the oldest.
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
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to end before it began
	case err != nil:
		return err
	}
	unused := time.AfterFunc(spareUnused, p.dropSpare)
	defer p.dropSpare()
	defer unused.Stop()
	g, ctx := errgroup.WithContext(ctx)
	work := make(chan *job)
	g.Go(func() error {
		defer close(work)
		return p.computeAll(ctx, src, fl, work)
	})
	read, written := make(chan *job), make(chan *job)
	g.Go(func() error {
		defer close(read)
		return pass(ctx, work, read, func(j *job) error { return p.storePart(ctx, "write readings", j, j.batch.rows.history, nil) })
	})
	g.Go(func() error {
		defer close(written)
		return pass(ctx, read, written, func(j *job) error {
			defer fl.done()
			err := p.storePart(ctx, "write what follows from readings", j, j.batch.rows.main, j.batch.rows.deletes)
			if err == nil {
				p.reuse(j.batch)
				for i := range j.msgs { // to settle them takes no more than their tokens
					j.msgs[i].Page, j.msgs[i].Raw = jauge.Page{}, nil
				}
				unused.Reset(spareUnused)
			}
			return err
		})
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
	pages := batchFirst
	for {
		msgs, err := src.Next(ctx, max(1, min(pages, p.cfg.BatchPages)))
		if err != nil {
			return fmt.Errorf("take from the journal: %w", err)
		}
		b, err := p.computeRetrying(ctx, fl, msgs)
		if err != nil {
			return err
		}
		pages = nextBatch(len(msgs), len(b.rows.history)+len(b.rows.main))
		fl.start()
		select {
		case work <- &job{b, msgs}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// How many pages a batch begins with, and how many rows one should give: enough for the store to work evenly, few
// enough that the batches under way fit into little memory. A page that is read again gives two rows a post, the first
// one of an account, with weeks of windows, five times as many.
const (
	batchFirst = 16
	batchRows  = 12_000
)

// nextBatch tells how many pages to take after a batch of so many pages gave so many rows.
func nextBatch(pages, rows int) int {
	return max(4, min(2*pages+4, pages*batchRows/max(rows, 1)))
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

// pass hands jobs on from one stage to the next, in order.
func pass(ctx context.Context, in <-chan *job, out chan<- *job, do func(*job) error) error {
	for j := range in {
		if err := do(j); err != nil {
			return err
		}
		select {
		case out <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// storePart writes a part of a batch, and repeats that until the store answers.
func (p *Pipeline) storePart(ctx context.Context, what string, j *job, write, deletes []jauge.Record) error {
	_, err := retry(ctx, p, what, func() (struct{}, error) {
		return struct{}{}, j.batch.note(p.writePart(ctx, write, deletes))
	})
	return err
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
