package oauth

import (
	"time"

	"jauge.dev/jauge"
)

// State is a grant's place in life. The set is closed: it is a metric label and what `jauge accounts` shows.
type State string

// The states.
const (
	StateOK          State = "ok"
	StateExpiring    State = "expiring"                 // it will end and cannot be renewed without a human
	StateTransient   State = "refresh_failed_transient" // the last refresh failed; the token still works or it will be tried again
	StateRevoked     State = "revoked"                  // it has ended, a human must connect again
	StateWrongObject State = "wrong_object"             // it works, but not for the account
	StateScope       State = "scope_missing"            // it works, but not for all that is needed
	StateNever       State = "never_connected"
)

// States lists every state, so that metric series can exist from the start.
func States() []State {
	return []State{StateOK, StateExpiring, StateTransient, StateRevoked, StateWrongObject, StateScope, StateNever}
}

// Parked tells whether an account whose grant is in this state is not read until a human has acted.
func (s State) Parked() bool {
	return s == StateRevoked || s == StateWrongObject || s == StateScope || s == StateNever
}

// Cause says why a grant is in its state. The set is closed.
type Cause string

// The causes.
const (
	CauseNone          Cause = ""
	CauseInvalidGrant  Cause = "invalid_grant"   // the provider says so of the refresh token
	CauseTokenRefused  Cause = "token_refused"   // the API refuses the access token and it cannot be renewed
	CauseExpired       Cause = "expired"         // its time was up, and nothing could renew it
	CauseLostInRefresh Cause = "lost_in_refresh" // a refresh was sent, its answer never came, and a second would be taken as theft
	CauseAppGone       Cause = "app_rejected"    // the provider refuses our client: credentials or app
	CauseServer        Cause = "server_error"
	CauseNetwork       Cause = "network"
	CauseRateLimited   Cause = "rate_limited"
	CauseScope         Cause = "scope_missing"
	CauseWrongObject   Cause = "wrong_object"
	CauseEndsSoon      Cause = "ends_soon"
	CauseDisconnected  Cause = "disconnected" // by us
)

// Advice says what the operator should do about a state, in one English sentence; empty where nothing.
func Advice(s State, c Cause) string { return advice(s, c) }

// Grant is what may be known of a grant outside of the vault: no token.
type Grant struct {
	ID       string // ULID
	Provider string
	Holder   Holder
	Issuer   string // the server where each account has its own
	Scopes   []string
	State    State
	Cause    Cause
	Since    time.Time // when State or Cause changed last, UTC
	// ExpiresAt is when the grant ends unless somebody or something renews it: of the access token where nothing can
	// renew it, else of the refresh token. Zero: it does not end, or nobody says when.
	ExpiresAt time.Time
	Renewed   time.Time // when its token was issued last
	Connected time.Time // when a human consented last
	Follows   []Follow
	Chosen    bool // somebody chose what to follow
}

// Follow is an account that a grant opens and that somebody chose.
type Follow struct {
	Platform jauge.Platform
	ID       string
	Handle   string
	Name     string
	Avatar   string
	Brand    string
	Paused   bool
	Added    time.Time
	// State and Cause are the account's own where they are worse than the grant's (wrong_object, scope_missing), else
	// empty.
	State State
	Cause Cause
}

// Change is an alert: a grant has another state. There is one for each change, on the replica that brought it about.
type Change struct {
	Grant    Grant
	Was      State
	WasCause Cause
	// Follow is the account where the change is of one account alone: Was is its own state then; empty means as the grant.
	Follow *Follow
}
