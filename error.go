package jauge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Reason says in one word why something failed. The set is closed: it is a metric label, a log attribute and the
// rule for trying again.
type Reason string

// The reasons.
const (
	ReasonAuth        Reason = "auth"
	ReasonScope       Reason = "scope"
	ReasonQuota       Reason = "quota"        // a budget of ours or of the platform is spent
	ReasonRateLimited Reason = "rate_limited" // the platform said: slower
	ReasonNotFound    Reason = "not_found"
	ReasonBadRequest  Reason = "bad_request"
	ReasonServer      Reason = "server"
	ReasonNetwork     Reason = "network"
	ReasonDecode      Reason = "decode"
	ReasonCanceled    Reason = "canceled"
	ReasonDeadline    Reason = "deadline"
	ReasonOther       Reason = "other"
)

// Reasons lists every reason, so that metric series can exist from the start.
func Reasons() []Reason {
	return []Reason{
		ReasonAuth, ReasonScope, ReasonQuota, ReasonRateLimited, ReasonNotFound, ReasonBadRequest, ReasonServer,
		ReasonNetwork, ReasonDecode, ReasonCanceled, ReasonDeadline, ReasonOther,
	}
}

// Temporary tells whether the same call may succeed later without anybody's help.
func (r Reason) Temporary() bool {
	switch r {
	case ReasonQuota, ReasonRateLimited, ReasonServer, ReasonNetwork, ReasonDecode, ReasonDeadline:
		return true
	case ReasonAuth, ReasonScope, ReasonNotFound, ReasonBadRequest, ReasonCanceled, ReasonOther:
		return false
	}
	return false
}

// Error is a failure with its reason and what an operator may do about it.
type Error struct {
	Op         string // what was tried, verb + object: "read profile"
	Reason     Reason
	Status     int           // HTTP status, 0 where there was none
	Code       string        // the platform's own error word: "AccountTakedown"
	RetryAfter time.Duration // 0 where the platform did not say
	Hint       string        // what the operator may do, empty where nothing
	Err        error
}

// Error gives "op: reason: cause (hint)"; it never holds a secret, since Err must not.
func (e *Error) Error() string {
	s := e.Op
	if s != "" {
		s += ": "
	}
	s += string(e.Reason)
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d", e.Status)
		if e.Code != "" {
			s += " " + e.Code
		}
		s += ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf finds the reason of any error; an error without one is judged by what it wraps, else "other".
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	switch {
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return ReasonDeadline
	}
	if n, ok := errors.AsType[net.Error](err); ok {
		if n.Timeout() {
			return ReasonDeadline
		}
		return ReasonNetwork
	}
	return ReasonOther
}

// ErrPaused says that a human has paused an account: it is wrapped in a *Error with ReasonAuth, so that whoever may not
// read an account can tell this from a grant that is gone.
var ErrPaused = errors.New("the account is paused")

// RejectedError names the rows of a write that the store will never take, whatever happens: too old for its
// retention, a field of another type. All other rows of that write are durable.
type RejectedError struct {
	Rows    []Record
	Reasons []string // one for each of Rows
}

// Error counts the rows and gives the first reason.
func (e *RejectedError) Error() string {
	if len(e.Rows) == 0 {
		return "store rejected no rows"
	}
	return fmt.Sprintf("store rejected %d rows for good, first: %s", len(e.Rows), e.Reasons[0])
}
