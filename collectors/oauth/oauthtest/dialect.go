package oauthtest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"jauge.dev/jauge/collectors/oauth"
)

// renewable: the provider has something to renew with.
func renewable(p *oauth.Provider, f Fake) bool {
	switch p.Renewal.Model {
	case oauth.Rotating, oauth.Reusable:
		return !f.NoRefresh
	case oauth.Extend, oauth.Reissue:
		return true
	case oauth.Static:
	}
	return false
}

func refreshes(p *oauth.Provider, f Fake) bool {
	m := p.Renewal.Model
	return (m == oauth.Rotating || m == oauth.Reusable) && !f.NoRefresh
}

func rotates(p *oauth.Provider, _ Fake) bool { return p.Renewal.Model == oauth.Rotating }

// dialectCases hold the dialect against the server, without a vault.
func dialectCases() []dialectCase {
	return []dialectCase{
		{"dialect connects", nil, dialectConnects},
		{"dialect denied", nil, dialectDenied},
		{"dialect code expired", func(_ *oauth.Provider, f Fake) bool { return !f.OwnAuthorize }, dialectCodeExpired},
		{"dialect code used twice", func(_ *oauth.Provider, f Fake) bool { return !f.OwnAuthorize }, dialectCodeTwice},
		{"dialect wrong verifier", func(p *oauth.Provider, _ Fake) bool { return !p.NoPKCE }, dialectWrongVerifier},
		{"dialect wrong redirect", func(p *oauth.Provider, _ Fake) bool { return true }, dialectWrongRedirect},
		{"dialect renews", renewable, dialectRenews},
		{"dialect keeps the refresh token", refreshes, dialectKeepsRefresh},
		{"dialect renewal refused", renewable, dialectRenewalRefused},
		{"dialect renewal fails", renewable, dialectRenewalFails},
		{"dialect renewal slowed down", renewable, dialectSlowedDown},
		{"dialect lifetimes", renewable, dialectLifetimes},
		{"dialect spent token again", rotates, dialectSpentAgain},
		{"dialect API refusals", nil, dialectRefusals},
		{"dialect revokes", func(p *oauth.Provider, f Fake) bool { return f.Revokes || f.Endpoints.Revoke != "" }, dialectRevokes},
		{"dialect cancelled", renewable, dialectCancelled},
	}
}

func dialectConnects(r *rig) {
	tok := r.connect()
	if tok.Access == "" || tok.Issued.IsZero() {
		r.Errorf("token lacks access or issued: %+v", tok)
	}
	if m := r.p.Renewal; m.Model != oauth.Static && tok.Expiry.IsZero() {
		r.Error("token has no end, though the provider's tokens have")
	}
	if !tok.Expiry.IsZero() && (tok.Expiry.Location() != time.UTC || !tok.Expiry.After(time.Now())) {
		r.Errorf("expiry %s is not a later instant in UTC", tok.Expiry)
	}
	if refreshes(r.p, r.s.Fake) && tok.Refresh == "" {
		r.Error("refresh token was lost")
	}
	holder, found, err := r.p.List(r.Context(), r.authorised(tok), tok)
	if err != nil {
		r.Fatalf("list: %v", r.heard(err))
	}
	if d := cmp.Diff(r.s.Fake.Holder, holder); d != "" {
		r.Errorf("holder (-want +got):\n%s", d)
	}
	if d := cmp.Diff(r.s.Fake.Subjects, found, cmpopts.IgnoreFields(oauth.Subject{}, "Token")); d != "" {
		r.Errorf("what can be followed (-want +got):\n%s", d)
	}
	if a := r.probe(tok); !r.works(a) {
		r.Errorf("probe answers %d: %s", a.Status, a.Body)
	}
}

func dialectDenied(r *rig) {
	r.s.Deny()
	start, back := r.consent()
	_, err := r.d.Exchange(r.Context(), r.call, start, back)
	r.kind(err, oauth.FlowDenied)
}

func dialectCodeExpired(r *rig) {
	start, back := r.consent()
	time.Sleep(r.s.Fake.CodeLife + time.Second) // fake time
	_, err := r.d.Exchange(r.Context(), r.call, start, back)
	r.kind(err, oauth.FlowBadCode)
}

func dialectCodeTwice(r *rig) {
	start, back := r.consent()
	if _, err := r.d.Exchange(r.Context(), r.call, start, back); err != nil {
		r.Fatalf("exchange: %v", r.heard(err))
	}
	_, err := r.d.Exchange(r.Context(), r.call, start, back)
	r.kind(err, oauth.FlowBadCode)
}

func dialectWrongVerifier(r *rig) {
	start, back := r.consent()
	start.Verifier = "another-verifier-than-the-one-that-was-begun-with"
	_, err := r.d.Exchange(r.Context(), r.call, start, back)
	r.kind(err, oauth.FlowBadCode, oauth.FlowProvider)
}

func dialectWrongRedirect(r *rig) {
	start, back := r.consent()
	r.call.Redirect = redirect + "/other"
	_, err := r.d.Exchange(r.Context(), r.call, start, back)
	r.kind(err, oauth.FlowBadRedirect, oauth.FlowBadCode)
}

// age lets a token grow as old as the provider wants it before it is renewed.
func (r *rig) age() {
	if m := r.p.Renewal.MinAge; m > 0 {
		time.Sleep(m + time.Second)
	}
}

func dialectRenews(r *rig) {
	old := r.connect()
	r.age()
	before := *old
	tok, err := r.d.Renew(r.Context(), r.call, old)
	if err != nil {
		r.Fatalf("renew: %v", r.heard(err))
	}
	if d := cmp.Diff(before, *old); d != "" {
		r.Errorf("renewal changed the old token (-before +after):\n%s", d)
	}
	if tok.Access == old.Access || tok.Access == "" {
		r.Error("access token is not a new one")
	}
	if !tok.Expiry.IsZero() && tok.Expiry.Before(old.Expiry) {
		r.Errorf("new token ends at %s, before the old one at %s", tok.Expiry, old.Expiry)
	}
	if refreshes(r.p, r.s.Fake) {
		if tok.Refresh == "" {
			r.Error("refresh token was lost")
		}
		if rotated := tok.Refresh != old.Refresh; rotated != rotates(r.p, r.s.Fake) {
			r.Errorf("refresh token changed: %v, model %s", rotated, r.p.Renewal.Model)
		}
	}
	if d := cmp.Diff(old.Subject, tok.Subject); d != "" {
		r.Errorf("subject changed:\n%s", d)
	}
	if a := r.probe(tok); !r.works(a) {
		r.Errorf("probe with the new token answers %d: %s", a.Status, a.Body)
	}
	if n := r.s.Counts().Renewals; n != 1 {
		r.Errorf("%d requests renewed, want 1", n)
	}
}

func dialectKeepsRefresh(r *rig) {
	old := r.connect()
	r.age()
	r.s.Shape(OmitRefresh)
	tok, err := r.d.Renew(r.Context(), r.call, old)
	if err != nil {
		r.Fatalf("renew: %v", r.heard(err))
	}
	if tok.Refresh != old.Refresh || !tok.RefreshExpiry.Equal(old.RefreshExpiry) {
		r.Error("an answer without a refresh token replaced the old one")
	}
}

func dialectRenewalRefused(r *rig) {
	if r.p.Renewal.Model == oauth.Reissue {
		return // the client asks in its own name: nobody can revoke that
	}
	old := r.connect()
	r.age()
	r.s.RevokeAll()
	_, err := r.d.Renew(r.Context(), r.call, old)
	e, ok := errors.AsType[*oauth.TokenError](r.heard(err))
	if !ok {
		r.Fatalf("error is no TokenError: %v", err)
	}
	if r.p.Dead[e.Code] == oauth.CauseNone {
		r.Errorf("code %q of a revoked grant is not among the dead codes", e.Code)
	}
}

func dialectRenewalFails(r *rig) {
	old := r.connect()
	r.age()
	for _, f := range []Fault{Answer500, Answer503} {
		r.s.Fail(f)
		_, err := r.d.Renew(r.Context(), r.call, old)
		e, ok := errors.AsType[*oauth.TokenError](r.heard(err))
		if !ok || e.Status < 500 {
			r.Errorf("%s gives %v, want a TokenError with the status", f, err)
		}
		if ok && r.p.Dead[e.Code] != oauth.CauseNone {
			r.Errorf("%s has code %q, which ends the grant", f, e.Code)
		}
	}
	r.s.Fail(NotSent)
	if _, err := r.d.Renew(r.Context(), r.call, old); !errors.Is(r.heard(err), oauth.ErrNotSent) {
		r.Errorf("a request that was not sent gives %v, want ErrNotSent in it", err)
	}
	for _, f := range []Fault{LostRequest, Answer502, Answer504, Silence, CutAnswer, LostAnswer} {
		r.s.Fail(f)
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
		before := r.s.Counts().Renewals
		_, err := r.d.Renew(ctx, r.call, old)
		cancel()
		if r.heard(err) == nil {
			r.Fatalf("%s gives no error", f)
		}
		if errors.Is(err, oauth.ErrNotSent) {
			r.Errorf("%s passes for not sent: %v", f, err)
		}
		if e, ok := errors.AsType[*oauth.TokenError](err); ok && (e.Status < 500 || r.p.Dead[e.Code] != oauth.CauseNone) {
			r.Errorf("%s passes for a refusal: %v", f, err)
		}
		if n := r.s.Counts().Renewals - before; n != 1 {
			r.Errorf("%s: %d requests were sent, want 1", f, n)
		}
		if rotates(r.p, r.s.Fake) {
			old = r.connect() // it may be spent
			r.age()
		}
	}
}

func dialectSlowedDown(r *rig) {
	old := r.connect()
	r.age()
	r.s.Fail(Answer429)
	_, err := r.d.Renew(r.Context(), r.call, old)
	e, ok := errors.AsType[*oauth.TokenError](r.heard(err))
	if !ok || e.Status != http.StatusTooManyRequests || e.RetryAfter != RetryAfter {
		r.Errorf("429 gives %v, want a TokenError with status and Retry-After", err)
	}
}

func dialectLifetimes(r *rig) {
	for _, c := range []struct {
		shape Shape
		most  time.Duration
	}{{FloatLife, r.s.Fake.AccessLife + time.Second}, {TextLife, r.s.Fake.AccessLife}, {AbsurdLife, r.p.Renewal.MaxLife}, {NoLife, r.p.Renewal.MaxLife}} {
		old := r.connect()
		r.age()
		r.s.Shape(c.shape)
		tok, err := r.d.Renew(r.Context(), r.call, old)
		if err != nil {
			r.Errorf("%s: renew: %v", c.shape, r.heard(err))
			continue
		}
		if life := tok.Expiry.Sub(tok.Issued); tok.Expiry.IsZero() && r.p.Renewal.Life > 0 || life > c.most {
			r.Errorf("%s: token ends at %s, more than %s after %s", c.shape, tok.Expiry, c.most, tok.Issued)
		}
		r.s.Shape(Usual)
	}
}

func dialectSpentAgain(r *rig) {
	old := r.connect()
	if _, err := r.d.Renew(r.Context(), r.call, old); err != nil {
		r.Fatalf("renew: %v", r.heard(err))
	}
	time.Sleep(r.p.Renewal.Grace + time.Minute)
	_, err := r.d.Renew(r.Context(), r.call, old)
	e, ok := errors.AsType[*oauth.TokenError](r.heard(err))
	if !ok || r.p.Dead[e.Code] == oauth.CauseNone || r.s.Counts().Reused != 1 {
		r.Errorf("a spent token gives %v, want a dead code and reuse detected", err)
	}
}

func dialectRefusals(r *rig) {
	cause := r.p.Refused
	if cause == nil {
		cause = func(status int, _ http.Header, _ []byte) oauth.Cause {
			if status == http.StatusUnauthorized {
				return oauth.CauseTokenRefused
			}
			return oauth.CauseNone
		}
	}
	check := func(why Refusal, tok *oauth.Token) {
		r.Helper()
		a := r.probe(tok)
		if a.Status < 400 && !r.p.Enveloped {
			r.Errorf("%s: probe answers %d", why, a.Status)
		}
		if got := cause(a.Status, a.Header, a.Body); got != r.s.Fake.Causes[why] {
			r.Errorf("%s: %d %s means %q, want %q", why, a.Status, a.Body, got, r.s.Fake.Causes[why])
		}
	}
	tok := r.connect()
	r.s.LoseObject(true)
	check(WrongObject, tok)
	r.s.LoseObject(false)
	r.s.ExpireAccess()
	check(TokenExpired, tok)
	tok = r.connect()
	r.s.RevokeAll()
	check(TokenRevoked, tok)
}

func dialectRevokes(r *rig) {
	tok := r.connect()
	if err := r.d.Revoke(r.Context(), r.call, tok); err != nil {
		r.Fatalf("revoke: %v", r.heard(err))
	}
	if a := r.probe(tok); r.works(a) {
		r.Error("the token still works after it was revoked")
	}
	if err := r.d.Revoke(r.Context(), r.call, tok); err != nil {
		r.Errorf("a token that is gone is no failure: %v", r.heard(err))
	}
}

func dialectCancelled(r *rig) {
	tok := r.connect()
	r.age()
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	if _, err := r.d.Renew(ctx, r.call, tok); !errors.Is(r.heard(err), oauth.ErrNotSent) || !errors.Is(err, context.Canceled) {
		r.Errorf("renewal under a context that has ended gives %v, want ErrNotSent and its cause", err)
	}
	if n := r.s.Counts().Renewals; n != 0 {
		r.Errorf("%d requests were sent", n)
	}
}
