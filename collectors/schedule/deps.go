package schedule

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// Appender takes pages for good; pipeline/journal offers it.
type Appender interface {
	// Append returns nil when the page is safe on disk. A *jauge.Error with ReasonBadRequest says that this page will
	// never be taken; any other error that it was not taken now: the same page is then offered again.
	Append(ctx context.Context, page jauge.Page) error
}

// State is what the scheduler remembers; storage/state offers it.
type State interface {
	Roster
	Resolutions
	Runs
	Posts
	Backfills
}

// Roster knows the accounts that are or were followed.
type Roster interface {
	Sync(ctx context.Context, accounts []jauge.Account, at time.Time) ([]jauge.Change, error)
	Roster(ctx context.Context) iter.Seq2[jauge.Followed, error]
	Followed(ctx context.Context, refs []int64) ([]jauge.Followed, error)
}

// Resolutions keeps which id a handle led to.
type Resolutions interface {
	Resolved(ctx context.Context, ref int64, id, handle string, at time.Time) (jauge.Followed, error)
	Unresolved(ctx context.Context, ref int64, f jauge.Failure, next time.Time) error
}

// Runs keeps what became of runs. Advance is called for acknowledged pages only and counts the posts that are new.
type Runs interface {
	Begin(ctx context.Context, refs []int64, at, ladderFrom time.Time) error
	Advance(ctx context.Context, a jauge.Advance) (added int, err error)
	End(ctx context.Context, outcomes []jauge.Outcome) error
}

// Posts knows which posts are due.
type Posts interface {
	Due(ctx context.Context, ref int64, by time.Time) ([]jauge.KnownPost, error)
	Known(ctx context.Context) (map[jauge.Platform]int64, error)
}

// Backfills keeps how far backfills came.
type Backfills interface {
	Backfill(ctx context.Context, ref int64) (m jauge.BackfillMark, ok bool, err error)
	SaveBackfill(ctx context.Context, ref int64, m jauge.BackfillMark) error
}

// Deps are what a scheduler works with.
type Deps struct {
	Platforms []collectors.Platform
	Bases     map[jauge.Platform]string // API roots that replace the platforms' own
	State     State
	Appender  Appender
	Access    Access                // nil: everything is read publicly, with a nil client
	Log       *slog.Logger          // nil for none
	Metrics   prometheus.Registerer // nil for none
}
