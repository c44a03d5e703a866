package pipeline

import (
	"context"
	"iter"

	"jauge.dev/jauge"
)

// Store is what the pipeline needs of a store; storage/sqlite and storage/influx offer it. Calls are safe for use by
// several goroutines; a Read that begins after a Write has returned sees what was written.
type Store interface {
	// Write upserts rows, in any order; on nil every row is durable. Rows that the store can never hold (too old for
	// its retention, a field of another type) come back in a *RejectedError, all others are then durable. Any other
	// error is temporary: the same call may be repeated. When Write has returned the store holds on to no row's fields:
	// the pipeline uses their space again.
	Write(ctx context.Context, rows []jauge.Record) error
	// Delete removes the rows with exactly these keys (tags and time; fields are ignored). A row that is not there is
	// no error.
	Delete(ctx context.Context, rows []jauge.Record) error
	// Read gives the rows that match, ordered by time. An error is always the last value.
	Read(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error]
}

// RejectedError names the rows of a Write that the store will never take, with the reason for each; the others of
// that Write are durable.
type RejectedError = jauge.RejectedError

// Message is one page as the journal delivered it, in the order of its account.
type Message struct {
	Page jauge.Page
	// Err says why the journal's message could not be decoded; Page is then empty but for what the subject tells.
	Err error
	// Raw holds the bytes where they could not be decoded.
	Raw []byte
	// Token is the journal's own handle of the message, opaque to the pipeline.
	Token any
}

// Source hands over what is in the journal; pipeline/journal offers it.
type Source interface {
	// Next waits for at least one message and returns what is at hand, at most max, in journal order. Messages that
	// were never settled come again after a restart, perhaps out of order and more than once.
	Next(ctx context.Context, max int) ([]Message, error)
	// Settle archives the messages and then acknowledges them; it returns when both are done. To repeat it is safe. The
	// messages need bear nothing but their tokens any more.
	Settle(ctx context.Context, msgs []Message) error
	// Bury puts messages that can not be normalised into the dead-letter stream with the reason; the caller still
	// settles them. To repeat it is safe: the same message is buried once.
	Bury(ctx context.Context, letters []Letter) error
	// Buried lists account and run of every dead letter, so that the marks of such runs are void (DOMAIN rule 4).
	Buried(ctx context.Context) ([]Letter, error)
}

// Letter is a dead letter: a page that could not be normalised, or rows that the store will never take.
type Letter struct {
	Page   jauge.Page
	Reason string
	Raw    []byte // the journal's bytes where they could not be decoded
}
