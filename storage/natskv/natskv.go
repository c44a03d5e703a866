package natskv

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
)

// operation is the header that tells a marker from a record.
const operation = "KV-Operation"

var errClosed = errors.New("vault bucket is not open")

// LoadSealed reads a record; one that is not there gives a *jauge.Error with ReasonNotFound.
func (s *Store) LoadSealed(ctx context.Context, key string) (jauge.Sealed, error) {
	const op = "load sealed record"
	missing := &jauge.Error{Op: op, Reason: jauge.ReasonNotFound, Err: fmt.Errorf("there is no %s", key)}
	if s.kv == nil {
		return jauge.Sealed{}, errClosed
	}
	if jauge.CheckSealed(key, nil) != nil {
		return jauge.Sealed{}, missing
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	e, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return jauge.Sealed{}, missing
	}
	if err != nil {
		return jauge.Sealed{}, failed(op, key, err)
	}
	return jauge.Sealed{Key: key, Value: e.Value(), Rev: e.Revision()}, nil
}

// SaveSealed makes (rev 0) or replaces (the rev that was read) a record and returns its new revision. The cluster keeps it
// when it returns without an error. With jauge.ErrStale nothing was written; after any other error it is not known
// whether it was.
func (s *Store) SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	const op = "save sealed record"
	if s.kv == nil {
		return 0, errClosed
	}
	if err := jauge.CheckSealed(key, value); err != nil {
		return 0, err
	}
	if len(value) > s.most {
		return 0, &jauge.Error{
			Op: op, Reason: jauge.ReasonBadRequest, Err: fmt.Errorf("%s has %d bytes, the cluster takes %d", key, len(value), s.most),
			Hint: "raise the cluster's max_payload to 1 MiB",
		}
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var next uint64
	var err error
	if rev == 0 {
		next, err = s.kv.Create(ctx, key, value)
	} else {
		next, err = s.kv.Update(ctx, key, value, rev)
	}
	if err != nil {
		return 0, failed(op, key, err)
	}
	return next, nil
}

// DropSealed removes a record that is at revision rev. A record that is not there gives an error that is both
// jauge.ErrStale and of ReasonNotFound.
func (s *Store) DropSealed(ctx context.Context, key string, rev uint64) error {
	const op = "drop sealed record"
	if s.kv == nil {
		return errClosed
	}
	absent := &jauge.Error{Op: op, Reason: jauge.ReasonNotFound, Err: jauge.ErrStale}
	if jauge.CheckSealed(key, nil) != nil {
		return absent
	}
	if rev == 0 { // the library takes 0 for "whatever there is"
		return s.stale(ctx, op, key, absent)
	}
	bounded, cancel := s.bound(ctx)
	defer cancel()
	err := s.kv.Purge(bounded, key, jetstream.LastRevision(rev))
	switch {
	case err == nil:
		s.sweep(ctx, key)
		return nil
	case isStale(err):
		return s.stale(ctx, op, key, absent)
	}
	return failed(op, key, err)
}

// stale tells a record that is at another revision from one that is not there.
func (s *Store) stale(ctx context.Context, op, key string, absent error) error {
	if _, err := s.LoadSealed(ctx, key); jauge.ReasonOf(err) == jauge.ReasonNotFound {
		return absent
	}
	return fmt.Errorf("%s %s: %w", op, key, jauge.ErrStale)
}

// sweep takes away the marker that a drop leaves under the key, so that keys which are used once do not stay for ever: all
// of the subject up to the marker, and nothing that came after it (the library's PurgeDeletes would take that too). It is
// no harm if it fails: the next list does it.
func (s *Store) sweep(ctx context.Context, key string) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	m, err := s.stream.GetLastMsgForSubject(ctx, subjects+key)
	if err != nil || m.Header.Get(operation) == "" {
		return
	}
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(subjects+key), jetstream.WithPurgeSequence(m.Sequence+1)); err != nil {
		s.log.Debug("could not tidy vault bucket", "error", err.Error())
	}
}

// Sealed lists the records whose keys begin with prefix, in the order of their keys, each as it is when it is read. The
// first error is the last thing that it gives.
func (s *Store) Sealed(ctx context.Context, prefix string) iter.Seq2[jauge.Sealed, error] {
	return func(yield func(jauge.Sealed, error) bool) {
		keys, err := s.keys(ctx, prefix)
		if err != nil {
			yield(jauge.Sealed{}, err)
			return
		}
		for _, key := range keys {
			r, err := s.LoadSealed(ctx, key)
			if jauge.ReasonOf(err) == jauge.ReasonNotFound {
				s.sweep(ctx, key)
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// keys asks the leader for the keys that begin with prefix.
func (s *Store) keys(ctx context.Context, prefix string) ([]string, error) {
	if s.stream == nil {
		return nil, errClosed
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(subjects+">"))
	if err != nil {
		return nil, failed("list sealed records", "", err)
	}
	var out []string
	for subject := range maps.Keys(info.State.Subjects) {
		if key := strings.TrimPrefix(subject, subjects); strings.HasPrefix(key, prefix) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out, nil
}

// bound gives an exchange its deadline.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.cfg.Timeout, errors.New("the cluster did not answer in time"))
}

// isStale tells whether the server refused a write because another came first. Replicated streams say it by a code of
// their own.
func isStale(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) ||
		ok && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// failed puts an error of the library into our words.
func failed(op, key string, err error) error {
	if key != "" {
		op += " " + key
	}
	if isStale(err) {
		return fmt.Errorf("%s: %w", op, jauge.ErrStale)
	}
	return &jauge.Error{Op: op, Reason: reasonOf(err), Err: err}
}

// reasonOf finds the reason of an error of the library.
func reasonOf(err error) jauge.Reason {
	switch {
	case errors.Is(err, nats.ErrTimeout):
		return jauge.ReasonDeadline
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrPermissionViolation):
		return jauge.ReasonAuth
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrReconnectBufExceeded),
		errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return jauge.ReasonNetwork
	}
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return jauge.ReasonServer
	}
	return jauge.ReasonOf(err)
}
