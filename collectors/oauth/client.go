package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"jauge.dev/jauge"
)

// renewWait is how long a request waits for a renewal whose token would still be good.
const renewWait = 10 * time.Second

// Client gives the client by which an account is read, and the id of the grant that opens it: "" where none is needed or
// there is none, with the platform's own client. It does no I/O.
//
// A grant that is not to be used gives a *jauge.Error: ReasonAuth, or ReasonScope where a right is missing, with what to
// do as its Hint; one that wraps jauge.ErrPaused where a human has paused the account.
func (v *Vault) Client(a jauge.Account) (hc *http.Client, grantID string, err error) {
	var base *http.Client
	if v.deps.API != nil {
		base = v.deps.API(a.Platform)
	}
	e, f, ok := v.view.find(a)
	if !ok {
		if base == nil {
			return nil, "", &jauge.Error{
				Op: "find client", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("nothing reads %s", a.Platform),
			}
		}
		return base, "", nil
	}
	if err := usable(e.rec, f); err != nil {
		return nil, e.rec.ID, err
	}
	p, err := v.provider(e.rec.Provider)
	if err != nil {
		return nil, e.rec.ID, err
	}
	if base == nil {
		base = v.deps.Clients(p)
	}
	c := *base
	c.Transport = &carrier{
		signed: signed{v: v, p: p, grant: e.rec.ID, base: transportOf(base)}, key: f.key(),
	}
	return &c, e.rec.ID, nil
}

// usable tells whether an account may be read by its grant.
func usable(r *record, f *followRecord) error {
	if f.Paused {
		return &jauge.Error{
			Op: "use grant", Reason: jauge.ReasonAuth, Err: fmt.Errorf("%s: %w", f.key(), jauge.ErrPaused),
			Hint: "resume it to have it read again",
		}
	}
	s, c := f.health(r)
	if !s.Parked() {
		return nil
	}
	reason := jauge.ReasonAuth
	if s == StateScope {
		reason = jauge.ReasonScope
	}
	text := string(s)
	if c != CauseNone && string(c) != text {
		text += " (" + string(c) + ")"
	}
	return &jauge.Error{
		Op: "use grant", Reason: reason, Err: fmt.Errorf("%s: its grant is %s", f.key(), text), Hint: Advice(s, c),
	}
}

// carrier puts an account's token on requests: under the paced transport that the collectors use, so that the token has
// a budget of its own there.
type carrier struct {
	signed

	key string // of the account
}

// RoundTrip sends a request with the account's token. A token that is due is renewed first; a request that is refused is
// sent once more where there is a newer token, or one can be had.
func (t *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	if strayed(req) {
		return t.base.RoundTrip(req)
	}
	ctx := req.Context()
	r, f, err := t.ready(ctx)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.send(req, r.Server.server(), r.tokenOf(f), false)
	if err != nil {
		return nil, err
	}
	cause := verdict(t.p, resp)
	switch {
	case cause == CauseScope, cause == CauseWrongObject:
		t.v.markFollow(ctx, t.grant, t.key, cause)
		return resp, nil
	case !cause.condemns():
		return resp, nil
	}
	r, f = t.afterRefusal(ctx, r, f)
	if r == nil || !replayable(req) {
		return resp, nil
	}
	discard(resp)
	resp, err = t.send(req, r.Server.server(), r.tokenOf(f), true)
	if err != nil {
		return nil, err
	}
	if verdict(t.p, resp).condemns() {
		t.test(ctx)
	}
	return resp, nil
}

// CloseIdleConnections passes the wish of http.Client on.
func (t *carrier) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// tokenOf is the token that opens an account: its own where it has one, else the grant's. The refresh token is left out:
// no request needs it.
func (r *record) tokenOf(f *followRecord) *Token {
	t := r.Token.token()
	t.Refresh = ""
	if f.Token != "" {
		t.Access = jauge.Secret(f.Token)
	}
	return t
}

// now is the account's grant as it is in memory now.
func (t *carrier) now() (*record, *followRecord, error) {
	if e, ok := t.v.view.get(t.grant); ok {
		for i := range e.rec.Follows {
			if f := &e.rec.Follows[i]; f.key() == t.key {
				return e.rec, f, usable(e.rec, f)
			}
		}
	}
	return nil, nil, &jauge.Error{
		Op: "use grant", Reason: jauge.ReasonAuth, Err: fmt.Errorf("%s: its grant is gone", t.key),
		Hint: Advice(StateNever, CauseNone),
	}
}

// ready gives a grant whose token can be used, renewed if it is due.
func (t *carrier) ready(ctx context.Context) (*record, *followRecord, error) {
	r, f, err := t.now()
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	if r.due(t.p, now) {
		if err := t.renewAhead(ctx, r, now); err != nil {
			return nil, nil, err
		}
		if r, f, err = t.now(); err != nil {
			return nil, nil, err
		}
		now = time.Now()
	}
	if !r.expired(now) {
		return r, f, nil
	}
	if r.renewable(t.p, now) {
		return nil, nil, &jauge.Error{
			Op: "renew grant", Reason: reasonOf(r.Why), RetryAfter: max(time.Until(r.NextTry), time.Second),
			Err: fmt.Errorf("%s: its token has expired and could not be renewed yet", t.key),
		}
	}
	t.v.resettle(ctx, t.grant)
	if _, _, err := t.now(); err != nil {
		return nil, nil, err
	}
	return nil, nil, &jauge.Error{
		Op: "use grant", Reason: jauge.ReasonAuth, Err: fmt.Errorf("%s: its token has expired", t.key),
		Hint: Advice(StateRevoked, CauseExpired),
	}
}

// renewAhead waits for a renewal. A token that is still good is used where that takes long or fails.
func (t *carrier) renewAhead(ctx context.Context, r *record, now time.Time) error {
	wait := ctx
	if !r.expired(now) {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, renewWait)
		defer cancel()
	}
	err := t.v.renew(wait, t.grant, "")
	if err != nil && ctx.Err() != nil {
		return &jauge.Error{Op: "renew grant", Reason: jauge.ReasonOf(ctx.Err()), Err: ctx.Err()}
	}
	return nil // what came of it is in the record
}

// afterRefusal looks for another token than the one that was refused: one that another replica got, or a renewed one. It
// gives nil where there is none; the grant is put to the test then before it is called revoked.
func (t *carrier) afterRefusal(ctx context.Context, used *record, uf *followRecord) (*record, *followRecord) {
	refused := used.tokenOf(uf).Access
	if _, err := t.v.read(ctx, t.grant); err != nil {
		return nil, nil
	}
	if r, f, err := t.now(); err != nil || r.tokenOf(f).Access != refused {
		return r.ifUsable(f, err)
	}
	own := uf.Token != "" // a page's: the login's own renewal does not change it, a listing may
	if !own && used.mendable(t.p, time.Now()) {
		_ = t.v.renew(ctx, t.grant, fingerprint(used.Token.Access)) // what came of it is in the record
	} else {
		t.test(ctx)
	}
	if r, f, err := t.now(); err != nil || r.tokenOf(f).Access != refused {
		return r.ifUsable(f, err)
	}
	return nil, nil
}

func (r *record) ifUsable(f *followRecord, err error) (*record, *followRecord) {
	if err != nil {
		return nil, nil
	}
	return r, f
}

// test puts the grant to the test, once a minute at most: only a second refusal, of the call that every login is allowed,
// condemns it.
func (t *carrier) test(ctx context.Context) {
	if !t.v.asked.may(t.grant) {
		return
	}
	if _, err := t.v.relist(ctx, t.grant); err != nil {
		t.v.log.WarnContext(ctx, "grant was refused when put to the test", "grant", t.grant, "provider", t.p.Name, "error", err)
	}
}

// markFollow gives one account a state of its own.
func (v *Vault) markFollow(ctx context.Context, grant, key string, c Cause) {
	s := StateWrongObject
	if c == CauseScope {
		s = StateScope
	}
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	_, err := v.change(ctx, grant, func(r *record) error {
		for i := range r.Follows {
			f := &r.Follows[i]
			if f.key() == key && f.State != s {
				f.State, f.Cause = s, c
				return nil
			}
		}
		return errKeep
	})
	if err != nil && !errors.Is(err, errKeep) {
		v.log.WarnContext(ctx, "state of an account could not be kept", "grant", grant, "account", key, "error", err)
	}
}

// resettle writes down the state of a grant that time has changed.
func (v *Vault) resettle(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	_, err := v.change(ctx, id, func(r *record) error {
		s, c := r.judge(v.providers[r.Provider], v.cfg.Warn, time.Now())
		if s == r.State && c == r.Cause {
			return errKeep
		}
		return nil
	})
	if err != nil && !errors.Is(err, errKeep) && jauge.ReasonOf(err) != jauge.ReasonNotFound {
		v.log.WarnContext(ctx, "state of a grant could not be kept", "grant", id, "error", err)
	}
}

// reasonOf is the reason of a request that fails because its token could not be renewed.
func reasonOf(c Cause) jauge.Reason {
	switch c {
	case CauseRateLimited:
		return jauge.ReasonRateLimited
	case CauseNetwork:
		return jauge.ReasonNetwork
	case CauseNone, CauseServer, CauseInvalidGrant, CauseTokenRefused, CauseExpired, CauseLostInRefresh, CauseAppGone,
		CauseScope, CauseWrongObject, CauseEndsSoon, CauseDisconnected:
	}
	return jauge.ReasonServer
}
