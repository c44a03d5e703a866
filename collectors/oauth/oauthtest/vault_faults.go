package oauthtest

import (
	"slices"
	"strconv"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// repeats tells whether a renewal that ended so may be sent again: nothing was spent by it, or what it spent is not needed
// for another one, or the provider answers in the same way for a while.
func (h *house) repeats(f Fault) bool {
	r := h.p.Renewal
	status, err := strconv.Atoi(string(f))
	switch {
	case r.Model != oauth.Rotating, f == NotSent, f == Answer429, r.Grace > time.Minute:
		return true
	case err != nil:
		return false
	}
	return slices.Contains(r.Undone, status)
}

// vaultSurvives: a renewal that fails by accident ends no grant, and a token that may be spent is never sent again.
func vaultSurvives(h *house, f Fault) {
	h.connect()
	end := time.Now().Add(h.life())
	h.s.Fail(f)
	h.pass(h.toDue() + soon + time.Minute)
	h.works("after the failure")
	if !h.repeats(f) {
		vaultLost(h, end)
		return
	}
	time.Sleep(2 * time.Minute)
	h.works("after the next attempt")
	if n := h.turns(oauth.StateRevoked); n != 0 {
		h.Errorf("it was called revoked %d times", n)
	}
	if want := h.grant().Renewed; time.Since(want) > h.toDue() {
		h.Errorf("it was not renewed after all: its token is of %s", want)
	}
	if c := h.s.Counts(); c.Reused != 0 {
		h.Errorf("spent tokens came again %d times", c.Reused)
	}
}

// vaultLost: the token is used until it dies, and then a human is asked.
func vaultLost(h *house, end time.Time) {
	h.Helper()
	h.state("while the old token lives", oauth.StateExpiring, oauth.CauseLostInRefresh)
	sent := h.s.Counts().Renewals
	h.pass(time.Until(end) - time.Second)
	h.works("until the old token dies")
	time.Sleep(soon)
	h.state("when it has died", oauth.StateRevoked, oauth.CauseLostInRefresh)
	h.parked("when it has died")
	h.restart()
	h.pass(7 * 24 * time.Hour)
	c := h.s.Counts()
	if sent != 1 || c.Renewals != 1 || c.Reused != 0 {
		h.Errorf("%d renewals were sent at first and %d in the end; spent tokens came %d times", sent, c.Renewals, c.Reused)
	}
	if n := h.turns(oauth.StateRevoked); n != 1 {
		h.Errorf("%d alerts, want 1", n)
	}
	if _, _, err := h.complete(0); err != nil {
		h.Fatalf("connect again: %v", err)
	}
	h.fine("when connected again")
	h.works("when connected again")
}

// vaultSlowedDown: Retry-After is kept to, and nothing else happens.
func vaultSlowedDown(h *house) {
	h.connect()
	h.s.Fail(Answer429)
	h.pass(h.toDue() + soon)
	h.state("while it waits", oauth.StateTransient, oauth.CauseRateLimited)
	n := h.s.Counts().Renewals
	time.Sleep(RetryAfter - soon - 5*time.Second)
	if now := h.s.Counts().Renewals; n != 1 || now != 1 {
		h.Errorf("%d renewals were sent before Retry-After was over, want 1", now)
	}
	if h.life()-h.toDue() > RetryAfter {
		h.works("while it waits")
	}
	time.Sleep(soon + every + 10*time.Second)
	h.fine("after Retry-After")
	h.works("after Retry-After")
}
