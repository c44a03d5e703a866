package oauth

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotSent says that a request never left: nothing was spent by it. A dialect wraps it around what failed before.
var ErrNotSent = errors.New("request was not sent")

// TokenError is a complete answer of a token endpoint that is no token (RFC 6749 section 5.2), of whatever status: what
// it means for the grant is judged by Provider.Dead, Renewal.Undone and the status, in that order. An answer that was cut
// off, or a success that cannot be read, is no TokenError: it may have spent what was sent.
type TokenError struct {
	Status int
	Code   string // "invalid_grant"; platforms' own codes as they are: "190/463"
	// Text is the provider's description. It is shown and logged: a dialect leaves out what could hold a token.
	Text string
	// RetryAfter is what the answer's header asked for; 0 where it did not.
	RetryAfter time.Duration
}

// Error gives status, code and text.
func (e *TokenError) Error() string {
	return fmt.Sprintf("token endpoint answered %d %s: %s", e.Status, e.Code, e.Text)
}

// FlowError says why an authorization did not lead to a grant, in a word that pages have a text for.
type FlowError struct {
	Kind FlowKind
	Err  error // for the log and for details; holds no secret
}

// FlowKind is why an authorization failed. The set is closed: each has a page.
type FlowKind string

// The kinds.
const (
	FlowUnknownState  FlowKind = "unknown_state"  // never issued, used before, or by another daemon
	FlowExpiredState  FlowKind = "expired_state"  // issued too long ago
	FlowOtherBrowser  FlowKind = "other_browser"  // begun in another browser
	FlowDenied        FlowKind = "denied"         // the user said no
	FlowBadCode       FlowKind = "bad_code"       // the code is expired, used or wrong
	FlowBadRedirect   FlowKind = "bad_redirect"   // the provider does not know our redirect address
	FlowWrongIssuer   FlowKind = "wrong_issuer"   // the answer came from another server (RFC 9207)
	FlowWrongAccount  FlowKind = "wrong_account"  // another account consented than the one that was named
	FlowScope         FlowKind = "scope_missing"  // consent was given to less than is needed
	FlowNotConfigured FlowKind = "not_configured" // no client credentials
	FlowBadInput      FlowKind = "bad_input"      // what was typed leads nowhere
	FlowProvider      FlowKind = "provider"       // the provider answered with an error
	FlowNetwork       FlowKind = "network"        // the provider could not be reached
)

// Error gives kind and cause.
func (e *FlowError) Error() string { return fmt.Sprintf("connect: %s: %v", e.Kind, e.Err) }

// Unwrap returns the cause.
func (e *FlowError) Unwrap() error { return e.Err }
