// Package pages serves the pages on which a human connects accounts and sees how they are: rendered on the server, no
// script needed, in English and French, light and dark. It knows nothing of tokens and keeps no figures: everything
// comes from the Backend, which cmd implements over vault, scheduler and memory.
package pages

import (
	"context"
	"net/url"
	"time"
)

// Backend is what the pages show and do. Errors that are a *Problem have a page of their own; any other is shown as an
// internal error, with its text in the log alone.
type Backend interface {
	Viewer
	Connector
	Keeper
}

// Viewer tells what there is.
type Viewer interface {
	Accounts(ctx context.Context) ([]Account, error)
	Platforms(ctx context.Context) ([]Platform, error)
	// Warnings are what an operator should know: API versions and metrics that end, grants about to end.
	Warnings(ctx context.Context) ([]Warning, error)
}

// Connector brings accounts in.
type Connector interface {
	// Begin starts an authorization for a browser, named by an unguessable id that its cookie holds, and returns where
	// to send it. input is what was typed (Platform.Ask).
	Begin(ctx context.Context, platform, input, browser string) (address string, err error)
	// Complete takes the callback's parameters and returns the grant they led to.
	Complete(ctx context.Context, callback url.Values, browser string) (grant string, err error)
	// Choice tells what a grant can follow.
	Choice(ctx context.Context, grant string) (Choice, error)
	// Follow follows these subjects of a grant, by their Key, and no others, under a brand.
	Follow(ctx context.Context, grant string, subjects []string, brand string) error
}

// Keeper changes what is there. An account is named by its Key.
type Keeper interface {
	Pause(ctx context.Context, account string, paused bool) error
	// Remove stops to follow an account; the last one of a grant takes the grant along, which is revoked at the provider
	// where it can be.
	Remove(ctx context.Context, account string) error
}

// Account is a row of the list.
type Account struct {
	Key         string // names it in addresses and forms: platform/id, or platform/handle before it is resolved
	Brand       string
	Competitor  bool
	Platform    string // "mastodon"
	Title       string // "Mastodon"
	ID, Handle  string
	Avatar      string // an https address, or empty
	Provider    string // whose grant it is, as /connect/{platform} takes it; empty: public reading
	Grant       string // grant id; empty: public reading
	State       string // of the grant (oauth.State); "ok" where none is needed
	Cause       string
	Since       time.Time
	Advice      string // what to do, in English; pages have their own text for each state and cause
	ExpiresAt   time.Time
	Account     string // what the platform says of the account: live, moved, …; empty: not read yet
	LastSuccess time.Time
	NextRun     time.Time // zero: parked, paused, or no collector
	Failure     string    // of the last run; empty: it went well
	Paused      bool
	FromConfig  bool // it stands in the file: it cannot be removed here
	NoCollector bool // connected, and this version cannot read its figures yet
	Quota       Quota
}

// Quota is what the platform said is left; Limit 0: it said nothing.
type Quota struct {
	Limit, Remaining int
	Reset            time.Time
}

// Platform is a tile of the gallery.
type Platform struct {
	Name       string // as /connect/{platform} takes it
	Title      string
	Ask        string   // "", "handle" or "instance"
	Opens      []string // titles of what its grants open: Facebook, Instagram
	Configured bool     // client credentials are set, or none are needed
	Missing    []string // the variables to set where it is not
	Callback   string   // the redirect address to register at the provider
	Docs       string   // where to register a client
	Scopes     []string // what is asked for, in the provider's words
	Hint       string
	Connected  int // accounts that are connected
}

// Choice is what a grant can follow.
type Choice struct {
	Platform string // provider name
	Title    string
	Holder   string // who consented
	Brand    string // proposal
	Brands   []string
	Subjects []Subject
}

// Subject is something to follow.
type Subject struct {
	Key                           string
	Platform, Title, Handle, Name string
	Avatar                        string
	Chosen                        bool
	FromConfig                    bool // listed in the file too: config's brand wins
}

// Warning is a line above the list.
type Warning struct {
	Kind     string // sunset_version, sunset_metric, expiring, parked
	Platform string
	Subject  string    // the version, the metric, the account
	When     time.Time // when it ends; zero: now
	Text     string    // English, for kinds that the pages have no text for
}

// Problem is a failure that has a page: Kind is an oauth.FlowKind or one of the kinds below.
type Problem struct {
	Kind     string
	Platform string // to try again
	Detail   string // short, safe to show
	Err      error  // for the log
}

// More kinds.
const (
	ProblemNotFound   = "not_found"   // no such account, grant or platform
	ProblemFromConfig = "from_config" // it stands in the file and is changed there
	ProblemBusy       = "busy"        // somebody else is at it, try again
)

// Error gives kind and cause.
func (p *Problem) Error() string {
	if p.Err == nil {
		return p.Kind
	}
	return p.Kind + ": " + p.Err.Error()
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }
