package oauthtest

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge/collectors/oauth"
)

// vaultCases hold the provider against a vault that runs: what becomes of its grants as time goes by.
func vaultCases() []vaultCase {
	return []vaultCase{
		{"connects", nil, vaultConnects},
		{"denied", nil, vaultDenied},
		{"code expired", func(_ *oauth.Provider, f Fake) bool { return !f.OwnAuthorize }, vaultCodeExpired},
		{"scope missing", func(_ *oauth.Provider, f Fake) bool { return f.Withhold != "-" && !f.OwnAuthorize }, vaultScopeMissing},
		{"renewed when due and not before", renewable, vaultRenews},
		{"asked by many at once", renewable, vaultMany},
		{"restarted", nil, vaultRestarted},
		{"absurd expiry", renewable, func(h *house) { vaultLifetime(h, AbsurdLife) }},
		{"no expiry", func(p *oauth.Provider, f Fake) bool { return renewable(p, f) && p.Renewal.Life > 0 }, func(h *house) { vaultLifetime(h, NoLife) }},
		{"answers without a refresh token", refreshes, vaultKeepsRefresh},
		{"refused and renewed", refreshes, vaultRefused},
		{"revoked, seen by a collector", nil, vaultRevoked},
		{"revoked, seen by a renewal", func(p *oauth.Provider, f Fake) bool { return renewable(p, f) && p.Renewal.Model != oauth.Reissue }, vaultRevokedUnseen},
		{"wrong object", nil, vaultWrongObject},
		{"nothing to renew with", func(p *oauth.Provider, f Fake) bool { return !renewable(p, f) && p.Renewal.Life > 0 }, vaultEnds},
		{"fixed end of the refresh token", fixedEnd, vaultFixedEnd},
		{"down for too long", func(p *oauth.Provider, f Fake) bool { return renewable(p, f) && p.Renewal.Model != oauth.Reissue }, vaultDownTooLong},
		{"disconnected", nil, vaultDisconnected},
		{"500", renewable, func(h *house) { vaultSurvives(h, Answer500) }},
		{"503", renewable, func(h *house) { vaultSurvives(h, Answer503) }},
		{"502", renewable, func(h *house) { vaultSurvives(h, Answer502) }},
		{"504", renewable, func(h *house) { vaultSurvives(h, Answer504) }},
		{"not sent", renewable, func(h *house) { vaultSurvives(h, NotSent) }},
		{"request lost", renewable, func(h *house) { vaultSurvives(h, LostRequest) }},
		{"answer lost", renewable, func(h *house) { vaultSurvives(h, LostAnswer) }},
		{"answer cut", renewable, func(h *house) { vaultSurvives(h, CutAnswer) }},
		{"silence", renewable, func(h *house) { vaultSurvives(h, Silence) }},
		{"slowed down", renewable, vaultSlowedDown},
	}
}

func vaultConnects(h *house) {
	g := h.connect()
	if d := cmp.Diff(h.s.Fake.Holder, g.Holder); d != "" {
		h.Errorf("holder (-want +got):\n%s", d)
	}
	h.fine("once connected")
	follows := make([]oauth.Subject, 0, len(g.Follows))
	for _, f := range g.Follows {
		follows = append(follows, oauth.Subject{Platform: f.Platform, ID: f.ID, Handle: f.Handle, Name: f.Name, Avatar: f.Avatar})
	}
	want := slices.Clone(h.s.Fake.Subjects)
	for i := range want {
		want[i].Token = ""
	}
	if d := cmp.Diff(want, follows); d != "" {
		h.Errorf("what is followed (-want +got):\n%s", d)
	}
	h.works("once connected")
	if err := h.v.Test(h.Context(), g.ID); err != nil {
		h.Errorf("test: %v", h.heard(err))
	}
	if n := h.s.Counts().Refused; n != 0 {
		h.Errorf("the API refused %d requests on the way", n)
	}
}

// flow asserts the kind of a failure, and that it left no grant.
func (h *house) flow(err error, want ...oauth.FlowKind) {
	h.Helper()
	if e, ok := errors.AsType[*oauth.FlowError](err); !ok || !slices.Contains(want, e.Kind) {
		h.Errorf("error is %v, want one of %v", err, want)
	}
	if all, err := h.v.Grants(h.Context()); err != nil || len(all) != 0 {
		h.Errorf("there are %d grants, want none (%v)", len(all), err)
	}
}

func vaultDenied(h *house) {
	h.s.Deny()
	_, _, err := h.complete(0)
	h.flow(err, oauth.FlowDenied)
}

func vaultCodeExpired(h *house) {
	_, _, err := h.complete(min(h.s.Fake.CodeLife+time.Second, 9*time.Minute))
	h.flow(err, oauth.FlowBadCode)
}

// vaultScopeMissing: a grant that lacks a right says so; where nothing can be read without it, there is none at all.
func vaultScopeMissing(h *house) {
	h.s.Untick(h.s.Fake.Withhold)
	g, _, err := h.complete(0)
	if err != nil {
		h.flow(err, oauth.FlowScope)
		return
	}
	if g.State != oauth.StateScope || g.Cause != oauth.CauseScope {
		h.Errorf("grant without %s is %s (%s), want %s", h.s.Fake.Withhold, g.State, g.Cause, oauth.StateScope)
	}
}

func vaultRenews(h *house) {
	h.connect()
	const turns = 5
	for turn := 1; turn <= turns; turn++ {
		issued := h.grant().Renewed
		h.pass(h.toDue() - time.Since(issued) - time.Minute)
		if n := h.s.Counts().Renewals; n != turn-1 {
			h.Fatalf("a minute before it is due for the %d. time, %d renewals were sent", turn, n)
		}
		time.Sleep(time.Minute + soon)
		if n := h.s.Counts().Renewals; n != turn {
			h.Fatalf("once it was due for the %d. time, %d renewals were sent", turn, n)
		}
		h.works("after a renewal")
	}
	if h.p.Renewal.Model != oauth.Reusable || h.s.Fake.RefreshLife > 10*h.life() {
		h.fine("after renewals") // else the end of the refresh token may be near by now
	}
	if c := h.s.Counts(); c.Reused != 0 || c.Refused != 0 {
		h.Errorf("spent tokens came %d times, the API refused %d requests", c.Reused, c.Refused)
	}
}

// vaultMany: whoever asks, and however many, there is one renewal.
func vaultMany(h *house) {
	h.connect()
	h.stop()
	time.Sleep(h.toDue() - time.Since(h.grant().Renewed))
	h.open(false) // nobody renews ahead
	before := h.s.Counts().Renewals
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if status, err := h.read(); status != http.StatusOK {
				h.Errorf("reading gives %d, %v", status, err)
			}
		})
	}
	wg.Wait()
	if n := h.s.Counts().Renewals - before; n != 1 {
		h.Errorf("%d renewals were sent, want 1", n)
	}
}

func vaultRestarted(h *house) {
	was := h.connect()
	h.restart()
	if d := cmp.Diff(was, h.grant()); d != "" {
		h.Errorf("grant changed by a restart (-before +after):\n%s", d)
	}
	h.works("after a restart")
	if n := h.s.Counts().Renewals; n != 0 {
		h.Errorf("%d renewals were sent", n)
	}
}

// vaultLifetime: an expiry that cannot be believed, or none, delays no renewal.
func vaultLifetime(h *house, shape Shape) {
	h.connect()
	h.s.Shape(shape)
	h.pass(h.toDue() + soon)
	first := h.s.Counts().Renewals
	longest := h.p.Renewal.Life
	if longest == 0 {
		longest = h.p.Renewal.MaxLife
	}
	h.pass(longest)
	if n := h.s.Counts().Renewals; first != 1 || n != 2 {
		h.Errorf("%d renewals when it was due, %d a life of %s later", first, n, longest)
	}
}

func vaultKeepsRefresh(h *house) {
	h.connect()
	h.s.Shape(OmitRefresh)
	for turn := 1; turn <= 2; turn++ {
		h.pass(h.toDue() - time.Since(h.grant().Renewed) + soon)
		if n := h.s.Counts().Renewals; n != turn {
			h.Fatalf("%d renewals, want %d", n, turn)
		}
	}
	h.works("after answers without a refresh token")
}

// vaultRefused: an access token that the API refuses before its time is renewed and the request sent again.
func vaultRefused(h *house) {
	h.connect()
	h.pass(max(5*time.Minute, h.p.Renewal.MinAge))
	h.s.ExpireAccess()
	h.works("after the access token was refused")
	if n := h.s.Counts().Renewals; n != 1 {
		h.Errorf("%d renewals, want 1", n)
	}
	h.fine("after that")
}

// ended are the causes of a grant that the provider has ended.
func (h *house) ended() []oauth.Cause {
	causes := []oauth.Cause{oauth.CauseTokenRefused, oauth.CauseInvalidGrant}
	for _, c := range h.p.Dead {
		causes = append(causes, c)
	}
	return causes
}

func vaultRevoked(h *house) {
	h.connect()
	h.works("at first")
	h.pass(max(5*time.Minute, h.p.Renewal.MinAge+time.Minute))
	if h.p.Renewal.Model == oauth.Reissue {
		return
	}
	h.s.RevokeAll()
	if status, err := h.read(); status == http.StatusOK {
		h.Fatalf("reading gives %d, %v", status, err)
	}
	h.state("after it was revoked", oauth.StateRevoked, h.ended()...)
	h.parked("after it was revoked")
	spent := h.s.Counts()
	h.pass(48 * time.Hour)
	if now := h.s.Counts(); now != spent {
		h.Errorf("the provider is still asked for what is revoked: %+v, then %+v", spent, now)
	}
	if n := h.turns(oauth.StateRevoked); n != 1 {
		h.Errorf("%d alerts, want 1", n)
	}
	follows := len(h.grant().Follows)
	if _, _, err := h.complete(0); err != nil {
		h.Fatalf("connect again: %v", err)
	}
	h.fine("when connected again")
	if n := len(h.grant().Follows); n != follows {
		h.Errorf("%d accounts are followed after connecting again, %d before", n, follows)
	}
	h.works("when connected again")
}

func vaultRevokedUnseen(h *house) {
	h.connect()
	h.s.RevokeAll()
	h.pass(h.toDue() + soon)
	h.state("once a renewal was refused", oauth.StateRevoked, h.ended()...)
	n := h.s.Counts().Renewals
	h.pass(48 * time.Hour)
	if now := h.s.Counts().Renewals; now != n || n > 1 {
		h.Errorf("%d renewals were sent, %d two days later", n, now)
	}
}

func vaultWrongObject(h *house) {
	h.connect()
	h.s.LoseObject(true)
	if status, err := h.read(); err != nil || status == 0 {
		h.Fatalf("reading gives %d, %v", status, err)
	}
	if h.s.Fake.Causes[WrongObject] != oauth.CauseWrongObject {
		h.fine("after a refusal that says nothing of it")
		return
	}
	h.parked("after its object was lost")
	if f := h.grant().Follows[0]; f.State != oauth.StateWrongObject {
		h.Errorf("account is %q, want %s", f.State, oauth.StateWrongObject)
	}
	if s := h.grant().State; s == oauth.StateRevoked {
		h.Error("one account's refusal ended the whole grant")
	}
	if n := h.s.Counts().Renewals; n != 0 {
		h.Errorf("%d renewals were sent for a refusal that none can help", n)
	}
}

// vaultEnds: a grant that nothing can renew is said to end, and then to have ended.
func vaultEnds(h *house) {
	h.connect()
	end := h.grant().ExpiresAt
	if want := time.Now().Add(h.life()); end.IsZero() || end.After(want) {
		h.Fatalf("grant ends at %s, want %s at the latest", end, want)
	}
	h.pass(time.Until(end) - 13*24*time.Hour)
	h.state("13 days before its end", oauth.StateExpiring, oauth.CauseEndsSoon)
	h.works("13 days before its end")
	h.pass(time.Until(end) + soon)
	h.state("after its end", oauth.StateRevoked, oauth.CauseExpired)
	h.parked("after its end")
	if a, b := h.turns(oauth.StateExpiring), h.turns(oauth.StateRevoked); a != 1 || b != 1 {
		h.Errorf("%d alerts that it ends and %d that it has ended, want one of each", a, b)
	}
}

// fixedEnd: renewing does not move the end of the refresh token, and that end is a few renewals away.
func fixedEnd(p *oauth.Provider, f Fake) bool {
	return p.Renewal.Model == oauth.Reusable && refreshes(p, f) && f.RefreshLife < 400*f.AccessLife
}

// vaultFixedEnd: renewals go on to the end that no renewal moves, and then a human is asked, once.
func vaultFixedEnd(h *house) {
	h.connect()
	end := time.Now().Add(h.s.Fake.RefreshLife)
	for time.Until(end) > h.toDue() {
		h.pass(h.toDue() + soon)
		h.works("before the end")
	}
	h.pass(time.Until(end) + h.life() + soon)
	h.state("after the end", oauth.StateRevoked)
	h.parked("after the end")
	if n := h.turns(oauth.StateRevoked); n != 1 {
		h.Errorf("%d alerts, want 1", n)
	}
}

// vaultDownTooLong: a daemon that comes back when everything has run out says so, and does not hammer the provider.
func vaultDownTooLong(h *house) {
	h.connect()
	h.stop()
	time.Sleep(max(h.s.Fake.RefreshLife, h.life()) + 24*time.Hour)
	h.open(true)
	time.Sleep(soon)
	h.state("after a long sleep", oauth.StateRevoked, append(h.ended(), oauth.CauseExpired)...)
	h.parked("after a long sleep")
	n := h.s.Counts().Renewals
	h.pass(24 * time.Hour)
	if now := h.s.Counts().Renewals; n > 1 || now != n {
		h.Errorf("%d renewals were sent, and %d a day later", n, now)
	}
	if _, _, err := h.complete(0); err != nil {
		h.Fatalf("connect again: %v", err)
	}
	h.works("when connected again")
}

func vaultDisconnected(h *house) {
	g := h.connect()
	offers := h.s.Fake.Revokes || h.s.Fake.Endpoints.Revoke != ""
	if _, err := h.v.Disconnect(h.Context(), g.ID); err != nil {
		h.Fatalf("disconnect: %v", h.heard(err))
	}
	if all, err := h.v.Grants(h.Context()); err != nil || len(all) != 0 {
		h.Errorf("there are %d grants, want none (%v)", len(all), err)
	}
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	for _, a := range h.s.access {
		if a.family.revoked != offers {
			h.Errorf("tokens are revoked at the provider: %v, want %v", a.family.revoked, offers)
			return
		}
	}
}
