package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
)

const (
	// pullMessages bounds one request for messages by number; Prefetch bounds it by bytes.
	pullMessages = 512
	// pullAgain is how long the pump waits after a request that failed.
	pullAgain = 200 * time.Millisecond
	// headerReplay marks a message that was published again from archive or dead letters: it is archived already.
	headerReplay = "Jauge-Replay"
)

// The words of an acknowledgement and of "still at work", as the server reads them.
var (
	ackDone     = []byte("+ACK")
	ackProgress = []byte("+WPI")
)

// pump requests messages and queues them for Next, as long as the session lives.
func (j *Journal) pump(ctx context.Context, s *session) {
	defer close(s.pumped)
	for j.held.waitRoom(ctx, j.cfg.Prefetch/2) {
		batch, err := s.cons.Fetch(pullMessages, jetstream.FetchMaxBytes(j.cfg.Prefetch/2+2*maxPayload), jetstream.FetchContext(ctx))
		if err == nil {
			for m := range batch.Messages() {
				j.deliver(s, m)
			}
			err = batch.Error()
		}
		if err != nil && ctx.Err() == nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				j.log.Debug("journal could not be read", "error", err.Error())
			}
			pause(ctx, pullAgain)
		}
	}
}

func (j *Journal) deliver(s *session, m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		j.log.Warn("journal delivered a message without its place", "error", err.Error())
		return
	}
	if meta.NumDelivered > 1 {
		j.met.redelivered.Inc()
	}
	h := m.Headers()
	j.held.add(&message{
		seq: meta.Sequence.Stream, subject: m.Subject(), id: h.Get(jetstream.MsgIDHeader),
		replay: h.Get(headerReplay) != "", data: m.Data(), reply: m.Reply(), gen: s.gen,
	})
}

// Next waits for at least one message and returns what is at hand, at most most, in journal order. A message that
// cannot be decoded comes with Err and its bytes; its page then bears what subject and id tell: platform, account, run
// and sequence.
func (j *Journal) Next(ctx context.Context, most int) ([]pipeline.Message, error) {
	got, err := j.held.take(ctx, max(most, 1))
	if err != nil {
		return nil, err
	}
	out := make([]pipeline.Message, len(got))
	for i, m := range got {
		out[i].Token = m
		if out[i].Page, out[i].Err = Decode(m.data); out[i].Err != nil {
			out[i].Page, out[i].Raw = told(m), m.data
		}
	}
	return out, nil
}

// told gives what is known of a page without its bytes.
func told(m *message) jauge.Page {
	var p jauge.Page
	if k, err := keyOf(m.subject, workPrefix); err == nil {
		p.Platform, p.Account = k.Platform, k.Account
	}
	p.Run, p.Seq = runOf(m.id)
	return p
}

// heartbeat tells the server of every held message that it is being worked on, so that nothing is delivered again,
// and out of order, while the store is down for long.
func (j *Journal) heartbeat(ctx context.Context) {
	t := time.NewTicker(j.cfg.AckWait / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		j.mu.Lock()
		s := j.cur
		j.mu.Unlock()
		if s == nil {
			continue
		}
		for _, reply := range j.held.replies(s.gen) {
			if err := s.nc.Publish(reply, ackProgress); err != nil {
				j.log.Debug("journal could not be told of work in progress", "error", err.Error())
				break
			}
		}
	}
}

// Pending counts the messages that are not settled, delivered ones included, and says when the oldest of them was
// appended, in UTC; zero where there is none.
func (j *Journal) Pending(ctx context.Context) (n int, oldest time.Time, err error) {
	s, err := j.session(ctx)
	if err != nil {
		return 0, time.Time{}, failure("count journal", err)
	}
	info, err := s.work.Info(ctx)
	if err != nil {
		return 0, time.Time{}, failure("count journal", err)
	}
	if info.State.Msgs > 0 {
		oldest = info.State.FirstTime.UTC()
	}
	return int(info.State.Msgs), oldest, nil //nolint:gosec // far below the bound
}

// Settle publishes the messages' own bytes to the archive, under their ids, awaits that, and then acknowledges them in
// the work stream and awaits that too. After an error it may be repeated; messages that were settled are passed over.
// What had been published again from archive or dead letters is in the archive already and not put there twice.
func (j *Journal) Settle(ctx context.Context, msgs []pipeline.Message) error {
	own := make([]*message, 0, len(msgs))
	for i := range msgs {
		m, ok := msgs[i].Token.(*message)
		if !ok {
			return fmt.Errorf("settle messages: message %d is not of this journal", i)
		}
		own = append(own, m)
	}
	s, err := j.session(ctx)
	if err != nil {
		return failure("settle messages", err)
	}
	todo := j.held.acks(own, s.gen)
	if len(todo) == 0 {
		return nil
	}
	if err := j.archive(ctx, s, todo); err != nil {
		j.alarm(ctx, err)
		return failure("archive messages", err)
	}
	if err := j.acknowledge(ctx, s, todo); err != nil {
		j.alarm(ctx, err)
		return failure("acknowledge messages", err)
	}
	j.held.drop(todo)
	return nil
}

// alarm has the keeper look after an exchange that failed for the server's sake.
func (j *Journal) alarm(ctx context.Context, err error) {
	if ctx.Err() == nil {
		j.timeouts.Add(1)
		j.look()
		j.log.Debug("journal exchange failed", "error", err.Error())
	}
}
