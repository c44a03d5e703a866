package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
)

// One atomic batch of the archive: the server takes at most a thousand messages, and keeps them aside until the last,
// in buffers whose size goes in steps.
const (
	batchMessages = 500
	batchBytes    = 1 << 20
	// batchFrom is the least batch that costs less than its messages one by one: its staging is fsynced too.
	batchFrom = 8
)

// Headers of an atomic batch.
const (
	headerBatch       = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// archive puts messages into the archive and returns when all are on disk.
func (j *Journal) archive(ctx context.Context, s *session, todo []ack) error {
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout*archivePatience)
	defer cancel()
	out := make([]*nats.Msg, 0, len(todo))
	for _, a := range todo {
		if a.m.replay {
			continue
		}
		m := nats.NewMsg(archivePrefix + strings.TrimPrefix(a.m.subject, workPrefix))
		m.Header.Set(jetstream.MsgIDHeader, a.m.id)
		m.Data = a.m.data
		out = append(out, m)
	}
	for len(out) > 0 {
		n, size := 0, 0
		for n < len(out) && n < batchMessages && (n == 0 || size+len(out[n].Data) <= batchBytes) {
			size += len(out[n].Data)
			n++
		}
		if err := s.archiveBatch(ctx, out[:n]); err != nil {
			return err
		}
		out = out[n:]
	}
	return nil
}

// archivePatience is how many timeouts of one exchange the archiving of many messages may take.
const archivePatience = 4

// archiveBatch tries one atomic batch, which costs one fsync for all its messages. The server refuses a batch with a
// message that it knows already, as after a crash between archiving and acknowledging; then each goes by itself.
func (s *session) archiveBatch(ctx context.Context, msgs []*nats.Msg) error {
	if s.batches && len(msgs) >= batchFrom {
		err := s.publishBatch(ctx, msgs)
		if err == nil || apiError(err) == nil {
			return err
		}
		for _, m := range msgs {
			m.Header.Del(headerBatch)
			m.Header.Del(headerBatchSeq)
			m.Header.Del(headerBatchCommit)
		}
	}
	return s.publishEach(ctx, msgs)
}

func (s *session) publishBatch(ctx context.Context, msgs []*nats.Msg) error {
	id := ulid.Make().String()
	for i, m := range msgs {
		m.Header.Set(headerBatch, id)
		m.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
		switch i {
		case len(msgs) - 1:
			m.Header.Set(headerBatchCommit, "1")
			if _, err := s.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0)); err != nil {
				return err
			}
		case 0:
			// The first is answered, with nothing where the batch may begin.
			r, err := s.nc.RequestMsgWithContext(ctx, m)
			if err != nil {
				return err
			}
			if len(r.Data) > 0 {
				return batchRefused(r.Data)
			}
		default:
			if err := s.nc.PublishMsg(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func batchRefused(answer []byte) error {
	return fmt.Errorf("begin batch: %w", &jetstream.APIError{Code: 400, ErrorCode: codeBatchDuplicate, Description: string(answer)})
}

// publishEach publishes every message and awaits every answer. The server tells a message that it knows already.
func (s *session) publishEach(ctx context.Context, msgs []*nats.Msg) error {
	futures := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		f, err := s.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
		if err != nil {
			return err
		}
		futures[i] = f
	}
	var errs []error
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			errs = append(errs, err)
		case <-ctx.Done():
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d messages: %w", len(errs), len(msgs), errs[0])
	}
	return nil
}

// acknowledge acknowledges messages and returns when the server has taken all. The server handles what comes over one
// connection in order, so that the answer to the last stands for all. A message that the current session has not
// delivered (its server was reopened meanwhile) has no valid reply: it is deleted by its place.
func (j *Journal) acknowledge(ctx context.Context, s *session, todo []ack) error {
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout*archivePatience)
	defer cancel()
	var fresh []string
	for _, a := range todo {
		if a.fresh {
			fresh = append(fresh, a.reply)
			continue
		}
		if err := s.deleteWork(ctx, a.m); err != nil {
			return fmt.Errorf("delete message %d: %w", a.m.seq, err)
		}
	}
	for i, reply := range fresh {
		if i == len(fresh)-1 {
			_, err := s.nc.RequestWithContext(ctx, reply, ackDone)
			return err
		}
		if err := s.nc.Publish(reply, ackDone); err != nil {
			return err
		}
	}
	return nil
}

// deleteWork deletes a message by its place, if it still is the one that lies there.
func (s *session) deleteWork(ctx context.Context, m *message) error {
	there, err := s.work.GetMsg(ctx, m.seq)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if there.Header.Get(jetstream.MsgIDHeader) != m.id {
		return nil
	}
	if err := s.work.DeleteMsg(ctx, m.seq); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// isGone tells whether a message was not there to be deleted.
func isGone(err error) bool {
	return errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful)
}
