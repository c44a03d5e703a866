package journal

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge/pipeline"
)

// ArchiveOnly does the first half of Settle, as if the process had died before the second.
func (j *Journal) ArchiveOnly(ctx context.Context, msgs []pipeline.Message) error {
	s, err := j.session(ctx)
	if err != nil {
		return err
	}
	var own []*message
	for i := range msgs {
		own = append(own, msgs[i].Token.(*message))
	}
	return j.archive(ctx, s, j.held.acks(own, s.gen))
}

// NoBatches makes the archive take messages one by one, as an old cluster does.
func (j *Journal) NoBatches() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cur.batches = false
}

// PublishRaw puts bytes into the work stream that Append would never make.
func (j *Journal) PublishRaw(ctx context.Context, subject, id string, body []byte) error {
	m := nats.NewMsg(workPrefix + subject)
	m.Header.Set(jetstream.MsgIDHeader, id)
	m.Data = body
	return j.store(ctx, m)
}

// Archived counts the messages of the archive.
func (j *Journal) Archived(ctx context.Context) (uint64, error) {
	s, err := j.session(ctx)
	if err != nil {
		return 0, err
	}
	info, err := s.archive.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.Msgs, nil
}

// Reopen reopens the server as the keeper does.
func (j *Journal) Reopen(ctx context.Context) error { return j.reopen(ctx) }

// Sicken switches the embedded server's store off, as it does itself when it cannot write.
func (j *Journal) Sicken() error {
	j.mu.Lock()
	s := j.cur
	j.mu.Unlock()
	return s.srv.ShutdownJetStream()
}

// State tells for a test that failed where messages are.
func (j *Journal) State(ctx context.Context) string {
	j.held.mu.Lock()
	held, queued := len(j.held.bySeq), len(j.held.queue)
	j.held.mu.Unlock()
	s, err := j.session(ctx)
	if err != nil {
		return err.Error()
	}
	work, err := s.work.Info(ctx)
	if err != nil {
		return err.Error()
	}
	cons, err := s.cons.Info(ctx)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("held %d, queued %d, stream %+v, delivered %+v, floor %+v, ack pending %d, waiting %d, pending %d",
		held, queued, work.State, cons.Delivered, cons.AckFloor, cons.NumAckPending, cons.NumWaiting, cons.NumPending)
}
