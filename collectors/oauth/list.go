package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"jauge.dev/jauge"
)

// listing is what the one authorised call gave.
type listing struct {
	holder   Holder
	subjects []Subject
	cause    Cause // what a refusal means for the grant; empty: nothing
	server   *Server
}

// list asks who consented and what can be followed. A failure says nothing of the grant unless its cause does.
func (v *Vault) list(ctx context.Context, p *Provider, r *record) (listing, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	t := r.Token.token()
	c := v.call(p, r.ID, r.Server.server(), "")
	hc := *v.deps.Clients(p)
	carry := &listCarrier{signed: signed{v: v, p: p, grant: r.ID, base: transportOf(&hc)}, server: c.Server, token: t}
	hc.Transport = carry
	c.HTTP = &hc
	holder, subjects, err := p.List(ctx, c, t)
	if err == nil && holder.ID == "" {
		err = errors.New("the provider does not say who consented")
	}
	out := listing{holder: holder, subjects: subjects, server: c.Server}
	if err == nil {
		return out, nil
	}
	out.cause = carry.cause(err)
	return out, clean(err, c, t.secrets()...)
}

func transportOf(hc *http.Client) http.RoundTripper {
	if hc.Transport == nil {
		return http.DefaultTransport
	}
	return hc.Transport
}

// listCarrier authorises the calls of one List and remembers what their refusals mean.
type listCarrier struct {
	signed

	server *Server
	token  *Token

	mu      sync.Mutex // a List may ask several things at once
	refused bool       // there was an answer of 400 to 403
	worst   Cause
}

// RoundTrip signs a call, unless redirects have led it elsewhere.
func (l *listCarrier) RoundTrip(req *http.Request) (*http.Response, error) {
	if strayed(req) {
		return l.base.RoundTrip(req)
	}
	l.mu.Lock()
	server := serverOf(l.server)
	l.mu.Unlock()
	resp, err := l.send(req, server.server(), l.token, false)
	if err != nil {
		return nil, err
	}
	c := verdict(l.p, resp)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = l.refused || refused(resp)
	if c != CauseNone {
		l.worst = c
	}
	return resp, nil
}

// cause is what the failure of the List means. Some providers refuse with a status of 200: then the error's reason says it.
func (l *listCarrier) cause(err error) Cause {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.worst == CauseNone && !l.refused && jauge.ReasonOf(err) == jauge.ReasonAuth {
		return CauseTokenRefused
	}
	return l.worst
}

// relist puts a grant to the test by listing what it opens, and keeps what it learns: new names and tokens, accounts that
// are no longer there, a token that is refused.
func (v *Vault) relist(ctx context.Context, id string) (entry, error) {
	e, ok := v.view.get(id)
	if !ok {
		var err error
		if e, err = v.read(ctx, id); err != nil {
			return entry{}, err
		}
	}
	p, err := v.provider(e.rec.Provider)
	if err != nil {
		return entry{}, err
	}
	l, lerr := v.list(ctx, p, e.rec)
	if l.cause.condemns() {
		if now, ok := v.replaced(ctx, p, e); ok {
			e = now
			l, lerr = v.list(ctx, p, e.rec)
		}
	}
	used := e.rec.Token.Access
	changed, err := v.change(ctx, id, func(r *record) error {
		now := time.Now()
		r.ListTry = now.UTC()
		switch {
		case lerr == nil:
			r.learn(p, &l)
		case r.Token.Access != used: // what was refused is replaced already
			return errKeep
		case l.cause.condemns() && !r.mendable(p, now) && !r.renewing(now):
			r.end(l.cause)
		case l.cause == CauseScope:
			r.Missing = slices.Clone(p.Scopes)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errKeep) {
		return changed, errors.Join(lerr, err)
	}
	if lerr != nil {
		return changed, listError(p, &l, lerr, changed.rec)
	}
	return changed, nil
}

// replaced looks for another access token than the one in e, which was refused: one that somebody has got meanwhile, or a
// renewed one. ok is false where there is none.
func (v *Vault) replaced(ctx context.Context, p *Provider, e entry) (now entry, ok bool) {
	now, err := v.read(ctx, e.rec.ID)
	if err != nil {
		return e, false
	}
	at := time.Now()
	if now.rec.Token.Access == e.rec.Token.Access && (now.rec.mendable(p, at) || now.rec.renewing(at)) {
		_ = v.renew(ctx, e.rec.ID, fingerprint(e.rec.Token.Access)) // what came of it is in the record
		if now, ok = v.view.get(e.rec.ID); !ok {
			return e, false
		}
	}
	return now, now.rec.Token.Access != e.rec.Token.Access
}

// end marks a grant whose access token is refused: the end, whatever it was that nothing could renew it.
func (r *record) end(c Cause) {
	if r.Ended != CauseNone {
		return
	}
	r.Ended, r.Intent, r.Doubt = c, nil, nil
	if r.Doomed != CauseNone {
		r.Ended = r.Doomed
	}
}

// learn takes what a listing says. Accounts that are followed keep who and how; one that is not offered any more is the
// wrong object for this login.
func (r *record) learn(p *Provider, l *listing) {
	r.Listed = time.Now().UTC()
	if r.Holder.ID == "" || r.Holder.ID == l.holder.ID {
		r.Holder = l.holder
	}
	r.Subjects = subjectsOf(l.subjects)
	r.Missing = missing(p, r.Scopes)
	for i := range r.Follows {
		f := &r.Follows[i]
		s := r.offered(f.key())
		switch {
		case s == nil:
			f.State, f.Cause = StateWrongObject, CauseWrongObject
		default:
			f.subjectRecord = *s
			if f.State == StateWrongObject {
				f.State, f.Cause = "", CauseNone
			}
		}
	}
}

func (r *record) offered(key string) *subjectRecord {
	for i := range r.Subjects {
		if r.Subjects[i].key() == key {
			return &r.Subjects[i]
		}
	}
	return nil
}

// listError is what a human is told of a failed listing.
func listError(p *Provider, l *listing, err error, r *record) error {
	out := &jauge.Error{Op: "list what " + p.Title + " opens", Reason: jauge.ReasonOf(err), Err: err}
	if j, ok := errors.AsType[*jauge.Error](err); ok {
		out.Status, out.Code, out.RetryAfter, out.Hint = j.Status, j.Code, j.RetryAfter, j.Hint
		if j.Err != nil {
			out.Err = fmt.Errorf("%s: %w", j.Op, j.Err)
		}
	}
	switch {
	case l.cause.condemns():
		out.Reason, out.Hint = jauge.ReasonAuth, Advice(r.State, r.Cause)
	case l.cause == CauseScope:
		out.Reason, out.Hint = jauge.ReasonScope, Advice(StateScope, CauseScope)
	case out.Reason == jauge.ReasonOther:
		out.Reason = jauge.ReasonNetwork
	}
	return out
}

// missing are the scopes that a provider's grants need and this one was not given. Those that answers do not repeat,
// because they are no rights but wishes, do not count.
func missing(p *Provider, granted []string) []string {
	if granted == nil {
		return nil
	}
	var out []string
	for _, s := range p.Scopes {
		switch s {
		case "offline_access", "offline.access", "openid", "email", "profile":
			continue
		}
		if !slices.Contains(granted, s) {
			out = append(out, s)
		}
	}
	return out
}
