package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
)

var (
	// ErrFull says that the journal takes no more for now: collectors wait and offer the page again.
	ErrFull = errors.New("journal is full")
	// ErrDiskFull is the ErrFull of a disk without space.
	ErrDiskFull = fmt.Errorf("no space left on the journal's disk: %w", ErrFull)
	// ErrClosed says that the journal is not open.
	ErrClosed = errors.New("journal is not open")
)

// The server's codes that callers branch on.
const (
	codeInsufficient      jetstream.ErrorCode = 10023
	codeStorageExceeded   jetstream.ErrorCode = 10047
	codeAccountExceeded   jetstream.ErrorCode = 10002
	codeStoreFailed       jetstream.ErrorCode = 10077
	codeBatchDuplicate    jetstream.ErrorCode = 10201
	wordsMaxBytes                             = "maximum bytes exceeded"
	wordsMaxMsgsOfSubject                     = "maximum messages per subject exceeded"
	wordsNoSpace                              = "no space left"
)

func apiError(err error) *jetstream.APIError {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e
	}
	return nil
}

// isFull tells whether the server refused a message because a stream or the store is at its bound.
func isFull(err error) bool {
	e := apiError(err)
	if e == nil {
		return false
	}
	switch e.ErrorCode {
	case codeInsufficient, codeStorageExceeded, codeAccountExceeded:
		return true
	case codeStoreFailed:
		return strings.Contains(e.Description, wordsMaxBytes)
	}
	return false
}

// isHeld tells whether the server refused a message because its subject has one already.
func isHeld(err error) bool {
	e := apiError(err)
	return e != nil && e.ErrorCode == codeStoreFailed && strings.Contains(e.Description, wordsMaxMsgsOfSubject)
}

// isNoSpace tells whether the server names a full disk.
func isNoSpace(err error) bool { return err != nil && strings.Contains(err.Error(), wordsNoSpace) }

// isUnknown tells whether a publish has no known outcome, so that it has to be repeated under the same id.
func isUnknown(err error) bool {
	if isNoSpace(err) || apiError(err) == nil {
		return true
	}
	return apiError(err).Code >= 500
}

// reasonOf finds the reason of a failed exchange.
func reasonOf(err error) jauge.Reason {
	switch {
	case errors.Is(err, ErrFull):
		return jauge.ReasonQuota
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return jauge.ReasonCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return jauge.ReasonDeadline
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrNoResponders),
		errors.Is(err, nats.ErrNoServers), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrDisconnected):
		return jauge.ReasonNetwork
	}
	if apiError(err) != nil {
		return jauge.ReasonServer
	}
	return jauge.ReasonOf(err)
}

func fullError(op string, err error) error {
	hint := "collectors wait until the pipeline has stored more; look at the store, or raise the journal's bound"
	if errors.Is(err, ErrDiskFull) {
		hint = "free space on the disk of the data directory; jauge goes on by itself"
	}
	return &jauge.Error{Op: op, Reason: jauge.ReasonQuota, Hint: hint, Err: err}
}

func failure(op string, err error) error {
	return &jauge.Error{Op: op, Reason: reasonOf(err), Err: err}
}
