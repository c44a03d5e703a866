// Package collectors holds what the daemon and a platform's collector agree on. A platform is one folder below this
// one and one line in the list of cmd/jauge; everything else the daemon knows of it is data in its Platform value.
//
// A collector keeps nothing between calls, leaves no goroutine behind, never sleeps, and sees neither clock nor
// token: the *http.Client that it is given is paced, retried, bounded and instrumented (package rest).
package collectors

import (
	"context"
	"net/http"
	"time"

	"jauge.dev/jauge"
)

// Task says what a call of Collect is for.
type Task string

// The tasks.
const (
	// TaskRefresh reads the account's gauges, lists its newest posts and re-reads the posts that are due.
	TaskRefresh Task = "refresh"
	// TaskBackfill lists older posts, from a cursor back to Target.Until.
	TaskBackfill Task = "backfill"
)

// Collector reads one platform.
type Collector interface {
	// Resolve finds the account behind a handle: its stable id and the handle as the platform spells it. A handle
	// that nobody has gives a *jauge.Error with ReasonNotFound.
	Resolve(ctx context.Context, hc *http.Client, handle string) (jauge.Account, error)

	// Collect does a task for several accounts and hands every answer's contents to emit, one page per answer and
	// account, as soon as it has been read. An account that fails does not fail the others: its error is in its
	// Result. Collect returns an error only when it could do nothing more for any account: ctx ended or emit failed
	// (then with emit's error, unwrapped further by errors.Is).
	Collect(ctx context.Context, req Request, emit Emit) ([]Result, error)
}

// Emit takes a page: it stamps run and read time and returns when the page is held safely. The collector sets
// Platform, Account, Handle, API and Observations; one object stands at most once in a page, and is emitted with
// counters at most once in a call of Collect. Emit keeps the page and what it points to: the collector must not change
// them afterwards. An error of emit ends the walk at once.
type Emit func(ctx context.Context, page jauge.Page) error

// Request is the work of one call.
type Request struct {
	Task    Task
	Targets []Target     // at most Platform.Group of them
	HTTP    *http.Client // authorised, paced, instrumented
}

// Target is the work on one account. Posts that the collector lists anyway count as re-read; what is left of Due is
// read by id in batches, across the targets where the API allows it. A due post that listing or batch misses is read
// singly before it is called deleted, and only while the account answers as live (DOMAIN rule 3).
type Target struct {
	Account jauge.Account
	// Newest is the publication instant of the newest post that the previous complete reading saw; listing goes on
	// until it has passed it. Zero: there was none, and listing goes back to Until.
	Newest time.Time
	// Until is the configured depth: no listing goes further back.
	Until time.Time
	// Due holds the known posts to be re-read, newest first.
	Due []PostRef
	// Cursor says where a backfill goes on; empty: from the newest post.
	Cursor string
	// Pages bounds how many listing pages a backfill reads in this call, 0 for no bound.
	Pages int
}

// PostRef is a known post.
type PostRef struct {
	ID          string
	PublishedAt time.Time
	Rank        int // position among all known posts of the account, newest first, from 0: tells what listing would cost
}

// Result says what became of one target. Every target has exactly one.
type Result struct {
	Account string // the target's account id
	// Complete: the gauges were read, listing passed Newest (or reached Until or the end), and every due post was
	// read or proven deleted (DOMAIN rule 4).
	Complete bool
	// State is what the platform says of the account; empty where it could not be learnt. An account that is not
	// live is no error: its state is emitted as an observation.
	State jauge.AccountState
	// Cursor is where a backfill goes on; Done says that it reached Until or the end.
	Cursor string
	Done   bool
	Err    error // why the account was not read to the end; nil where it was
}

// Platform is everything that the daemon knows of a platform.
type Platform struct {
	Name  jauge.Platform
	Base  string // API root; empty where each account's server is its own (Mastodon)
	Every string // default cron spec of the refresh task
	Group int    // how many accounts one call of Collect takes at best
	// Limit is the share of the platform's rate limit that jauge keeps to, per host: so many calls in so long.
	Limit Limit
	// Mapping tells the pipeline what the wire names mean.
	Mapping jauge.Mapping
	// CheckHandle refuses a handle that could never be one, with the reason and an example; it needs no network.
	CheckHandle func(handle string) error
	// RateLimit reads the platform's dialect of rate-limit headers, nil where it sends none.
	RateLimit RateLimitFunc
	// API is what is known of the API's own life.
	API API
	// New makes the collector. base replaces the API root where the operator set one, else it is empty.
	New func(base string) Collector
}

// API is the contract that a platform offers, as data: which version is spoken, and what will end when.
type API struct {
	// Version is the version that is spoken where the operator sets no other (JAUGE_<PLATFORM>_API_VERSION); empty: the
	// API has none.
	Version string
	Sunsets []Sunset
}

// Sunset is something that the platform said will end.
type Sunset struct {
	Kind string    // "version" or "metric"
	Name string    // the version, or the wire name of the metric
	Ends time.Time // the first instant at which it is no longer answered, UTC
	Then string    // what takes its place; empty: nothing
	From string    // where the platform says so
}

// The kinds of sunsets.
const (
	SunsetVersion = "version"
	SunsetMetric  = "metric"
)

// Limit is a number of calls in a stretch of time.
type Limit struct {
	Calls int
	In    time.Duration
}

// RateLimitFunc reads what an answer's headers say of the quota, at the instant now; ok is false where they say
// nothing.
type RateLimitFunc func(h http.Header, now time.Time) (q Quota, ok bool)

// Quota is what a platform says is left.
type Quota struct {
	Limit     int
	Remaining int
	Reset     time.Time // when Remaining is Limit again, UTC
}
