package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

// Range chooses pages of the archive; a zero field chooses all.
type Range struct {
	Platform jauge.Platform
	Account  string    // needs Platform
	From, To time.Time // of ObservedAt, half-open: From <= ObservedAt < To
}

func (r Range) filter() (string, error) {
	if r.Platform == "" {
		if r.Account != "" {
			return "", errors.New("an account can be chosen within a platform only: name it")
		}
		return archivePrefix + ">", nil
	}
	if r.Account == "" {
		return archivePrefix + token(string(r.Platform)) + ".>", nil
	}
	addr, err := address(jauge.Key{Platform: r.Platform, Account: r.Account})
	return archivePrefix + addr, err
}

func (r Range) has(t time.Time) bool {
	return (r.From.IsZero() || !t.Before(r.From)) && (r.To.IsZero() || t.Before(r.To))
}

// waitFull is how long a replay waits before it offers a message again to a full work stream.
const waitFull = 500 * time.Millisecond

// Replay publishes archived pages of a range to the work stream again, oldest first, and returns how many. It waits
// while the journal is full. progress, which may be nil, is called after each page with the number so far. Pages that
// cannot be decoded are passed over: they are among the dead letters. After an error a replay may be repeated whole.
func (j *Journal) Replay(ctx context.Context, r Range, progress func(n int)) (int, error) {
	filter, err := r.filter()
	if err != nil {
		return 0, &jauge.Error{Op: "replay archive", Reason: jauge.ReasonBadRequest, Err: err}
	}
	s, err := j.session(ctx)
	if err != nil {
		return 0, failure("replay archive", err)
	}
	n, suffix := 0, ulid.Make().String()
	for m, err := range scan(ctx, s.archive, filter) {
		if err != nil {
			return n, failure("replay archive", err)
		}
		page, err := head(m.Data)
		if err != nil || !r.has(page.ObservedAt) {
			continue
		}
		addr, err := address(page.Key())
		if err != nil {
			return n, failure("replay archive", err)
		}
		if err := j.again(ctx, addr, m.Header.Get(jetstream.MsgIDHeader), suffix, m.Data); err != nil {
			return n, failure("replay archive", err)
		}
		n++
		if progress != nil {
			progress(n)
		}
	}
	return n, nil
}

// again publishes a body to the work stream under an id of its own, so that the server does not take it for the
// message that it was. It waits while the journal is full.
func (j *Journal) again(ctx context.Context, addr, id, suffix string, body []byte) error {
	m := nats.NewMsg(workPrefix + addr)
	m.Header.Set(jetstream.MsgIDHeader, id+"~"+suffix)
	m.Header.Set(headerReplay, suffix)
	m.Data = body
	for {
		err := j.store(ctx, m)
		if !errors.Is(err, ErrFull) {
			return err
		}
		pause(ctx, waitFull)
		if ctx.Err() != nil {
			return fmt.Errorf("wait for room: %w", context.Cause(ctx))
		}
	}
}
