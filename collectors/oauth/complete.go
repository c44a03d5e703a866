package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

// completeWithin bounds what follows a callback. A browser that goes away does not end it: the code is spent by then.
const completeWithin = 2 * time.Minute

// Complete takes the parameters of a callback and makes a grant of them, or renews the one that the same login has
// already: then what it follows stays. It returns what can be followed. Its errors are *FlowError, except where the store
// fails.
func (v *Vault) Complete(ctx context.Context, callback url.Values, browser string) (Grant, []Subject, error) {
	if !v.enter() {
		return Grant{}, nil, errClosed
	}
	defer v.work.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), completeWithin)
	defer cancel()
	if len(callback["state"]) > 1 {
		return Grant{}, nil, &FlowError{FlowUnknownState, errState}
	}
	st, err := v.claim(ctx, callback.Get("state"), browser)
	if err != nil {
		return Grant{}, nil, err
	}
	p, err := v.provider(st.Provider)
	if err != nil {
		return Grant{}, nil, &FlowError{FlowUnknownState, err}
	}
	c := v.call(p, "", st.Server.server(), st.Redirect)
	t, err := v.exchange(ctx, p, c, st, callback)
	if err != nil {
		return Grant{}, nil, err
	}
	return v.connect(ctx, p, v.newRecord(p, c.Server, t, false))
}

// exchange trades the code for a token, once what came back has been checked.
func (v *Vault) exchange(ctx context.Context, p *Provider, c *Call, st *stateRecord, callback url.Values) (*Token, error) {
	if _, err := Code(c, callback); err != nil && callback.Has("error") || isWrongIssuer(err) {
		return nil, err
	}
	s := &Start{
		State: callback.Get("state"), Verifier: jauge.Secret(st.Verifier), Expect: st.Expect, Hint: st.Input,
	}
	dctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	t, err := p.dialect().Exchange(dctx, c, s, callback)
	if err != nil {
		code := jauge.Secret(callback.Get("code"))
		return nil, ExchangeError(clean(err, c, s.Verifier, code))
	}
	if t == nil || t.Access == "" {
		return nil, &FlowError{FlowProvider, errors.New("the provider answered without a token")}
	}
	if st.Expect != "" && t.Subject != st.Expect {
		if !v.mayShare(p, c.Server.Issuer, "") {
			v.revoke(ctx, p, c, t)
		}
		return nil, &FlowError{FlowWrongAccount, fmt.Errorf("%s consented, and %s was named", cut(t.Subject), cut(st.Expect))}
	}
	return t, nil
}

func isWrongIssuer(err error) bool {
	f, ok := errors.AsType[*FlowError](err)
	return ok && f.Kind == FlowWrongIssuer
}

// newRecord makes a grant of which nobody knows yet whose it is.
func (v *Vault) newRecord(p *Provider, s *Server, t *Token, static bool) *record {
	now := time.Now().UTC()
	r := &record{
		Version: recordVersion, ID: ulid.Make().String(), Provider: p.Name, Pending: true, Static: static,
		Made: now, Connected: now, Token: adopt(p, nil, t, now), Server: serverOf(s),
	}
	if static && (t.Expiry.IsZero() || !t.Expiry.After(now)) {
		r.Token.Expiry = utc(t.Expiry) // no end means none here, and one that is over is over
	}
	r.Absolute = absolute(p, nil, &r.Token, false)
	if t.Scopes != nil {
		r.Scopes = slices.Clone(t.Scopes)
		r.Missing = missing(p, r.Scopes)
	} else if !static {
		r.Scopes = slices.Clone(p.Scopes)
	}
	return r
}

// connect makes a new token durable, asks whose it is, and makes a grant of it.
func (v *Vault) connect(ctx context.Context, p *Provider, r *record) (Grant, []Subject, error) {
	e, err := v.create(ctx, r)
	if err != nil {
		return Grant{}, nil, err
	}
	e, err = v.finish(ctx, p, e)
	if err != nil {
		return Grant{}, nil, err
	}
	v.log.InfoContext(ctx, "account is connected", "grant", e.rec.ID, "provider", p.Name, "holder", e.rec.Holder.Handle,
		"state", string(e.rec.State), "subjects", len(e.rec.Subjects))
	return e.rec.grant(p), e.rec.subjects(), nil
}

// create writes a new record, until it is durable or ctx ends.
func (v *Vault) create(ctx context.Context, r *record) (entry, error) {
	r.settle(v.providers[r.Provider], v.cfg.Warn, time.Now())
	r.Stamp = ulid.Make().String()
	plain, err := encode(r)
	if err != nil {
		return entry{}, err
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		rev, err := v.save(ctx, grantPrefix+r.ID, plain, 0)
		if err == nil {
			e := entry{r, rev}
			v.view.put(e)
			return e, nil
		}
		if e, rerr := v.read(ctx, r.ID); rerr == nil { // an earlier attempt was done after all
			return e, nil
		}
		if serr := sleep(ctx, jitter(wait)); serr != nil {
			return entry{}, fmt.Errorf("keep new grant: %w", err)
		}
	}
}

// finish asks whose a pending grant is, and puts it in the place of an older one of the same login, or makes it a grant of
// its own.
func (v *Vault) finish(ctx context.Context, p *Provider, e entry) (entry, error) {
	l, err := v.list(ctx, p, e.rec)
	if err != nil {
		return entry{}, v.unlisted(ctx, p, e, &l, err)
	}
	if err := v.poll(ctx); err != nil {
		return entry{}, fmt.Errorf("look for an older grant: %w", err)
	}
	same := v.sameLogin(e.rec, l.holder)
	if same == "" {
		if same, err = v.claimHolder(ctx, e.rec, l.holder); err != nil {
			return entry{}, err
		}
	}
	if same == e.rec.ID {
		return v.change(ctx, e.rec.ID, func(r *record) error {
			r.Pending = false
			r.learn(p, &l)
			return nil
		})
	}
	kept, err := v.change(ctx, same, func(r *record) error {
		if !r.Pending || e.rec.ID > r.ID { // of two first consents, the newer one counts
			r.reconnect(e.rec)
		}
		r.Pending = false
		r.learn(p, &l)
		return nil
	})
	if err != nil {
		return entry{}, err
	}
	v.dropGrant(ctx, e)
	return kept, nil
}

// unlisted says what it means that a new token could not be tried. Where it is no good, it is thrown away; where that is
// not known, Run tries it again.
func (v *Vault) unlisted(ctx context.Context, p *Provider, e entry, l *listing, err error) error {
	kind := FlowNetwork
	switch {
	case l.cause == CauseScope, l.cause == CauseNone && jauge.ReasonOf(err) == jauge.ReasonScope:
		kind = FlowScope
	case l.cause.condemns():
		kind = FlowProvider
	case l.cause == CauseWrongObject:
		kind = FlowWrongAccount
	case jauge.ReasonOf(err) == jauge.ReasonServer, jauge.ReasonOf(err) == jauge.ReasonDecode,
		jauge.ReasonOf(err) == jauge.ReasonBadRequest, jauge.ReasonOf(err) == jauge.ReasonNotFound:
		return &FlowError{FlowProvider, err}
	}
	if kind != FlowNetwork {
		if !e.rec.Static && !v.mayShare(p, e.rec.Server.Issuer, e.rec.ID) {
			v.revoke(ctx, p, v.call(p, e.rec.ID, e.rec.Server.server(), ""), e.rec.Token.token())
		}
		v.dropGrant(ctx, e)
	}
	return &FlowError{kind, err}
}

// mayShare tells whether another grant may be of the same login as a token of which nobody knows whose it is. Such a token
// is not revoked: at Google and Meta that would end everything that the login has given us.
func (v *Vault) mayShare(p *Provider, issuer, but string) bool {
	return slices.ContainsFunc(v.view.all(), func(e entry) bool {
		o := e.rec
		return o.ID != but && !o.Pending && !o.Static && o.Provider == p.Name && o.Server.Issuer == issuer && o.Ended == CauseNone
	})
}

// sameLogin finds the grant that the same login has at the same server; "" where there is none.
func (v *Vault) sameLogin(r *record, h Holder) string {
	for _, e := range v.view.all() {
		o := e.rec
		if o.ID != r.ID && !o.Pending && o.Provider == r.Provider && o.Server.Issuer == r.Server.Issuer && o.Holder.ID == h.ID {
			return o.ID
		}
	}
	return ""
}

// reconnect puts a new consent in the place of the old one. What is followed, and how, stays.
func (r *record) reconnect(n *record) {
	if n.ID <= r.Absorbed {
		return // done already, or a newer consent has come since
	}
	r.Absorbed = n.ID
	r.Token, r.Server, r.Scopes, r.Static, r.Absolute = n.Token, n.Server, n.Scopes, n.Static, n.Absolute
	r.Connected = n.Connected
	r.Intent, r.Doubt = nil, nil
	r.Doomed, r.Ended = CauseNone, CauseNone
	r.Failures, r.Why, r.NextTry = 0, CauseNone, time.Time{}
	for i := range r.Follows {
		r.Follows[i].State, r.Follows[i].Cause = "", CauseNone
	}
}

// dropGrant removes a record that is not needed any more; what cannot be removed now, Run removes.
func (v *Vault) dropGrant(ctx context.Context, e entry) {
	if err := v.dropAt(ctx, grantPrefix+e.rec.ID, e.rev); err != nil {
		v.log.DebugContext(ctx, "record could not be dropped", "grant", e.rec.ID, "error", err)
		return
	}
	v.view.drop(e.rec.ID, e.rev)
}

// mopUp finishes a grant that was left pending: its daemon died, or the provider could not be reached.
func (v *Vault) mopUp(ctx context.Context, p *Provider, e entry) {
	for _, o := range v.view.all() {
		if o.rec.Absorbed >= e.rec.ID && o.rec.Provider == e.rec.Provider {
			v.dropGrant(ctx, e)
			return
		}
	}
	if e.rec.expired(time.Now()) {
		v.dropGrant(ctx, e)
		v.log.WarnContext(ctx, "authorization came to nothing", "provider", p.Name)
		return
	}
	if _, err := v.finish(ctx, p, e); err != nil {
		v.log.WarnContext(ctx, "authorization could not be finished", "provider", p.Name, "error", err)
	}
}

// Static makes a grant of a token that a human typed in: a system user's, a developer's. Nothing renews it, unless it ends
// and the provider extends access tokens by themselves. input is what the provider asks for (Ask): the instance.
func (v *Vault) Static(ctx context.Context, provider, input string, token jauge.Secret) (Grant, []Subject, error) {
	if !v.enter() {
		return Grant{}, nil, errClosed
	}
	defer v.work.Done()
	p, err := v.provider(provider)
	if err != nil {
		return Grant{}, nil, &FlowError{FlowBadInput, err}
	}
	if token == "" {
		return Grant{}, nil, &FlowError{FlowBadInput, errors.New("the token is empty")}
	}
	c := v.call(p, "", nil, "")
	if err := find(ctx, p, c, input); err != nil {
		return Grant{}, nil, beginError(clean(err, c, token))
	}
	t := &Token{Access: token, Issued: time.Now().UTC()}
	if i, ok := p.dialect().(Inspector); ok {
		if err := clean(i.Inspect(ctx, c, t), c, token); err != nil {
			if _, ok := errors.AsType[*TokenError](err); ok {
				return Grant{}, nil, &FlowError{FlowBadInput, err} // it is worth nothing
			}
			return Grant{}, nil, beginError(err)
		}
	}
	return v.connect(ctx, p, v.newRecord(p, c.Server, t, true))
}

// Finder is a Dialect that can tell the server of a token that was typed in: it fills c.Server from what was typed.
type Finder interface {
	Find(ctx context.Context, c *Call, input string) error
}

func find(ctx context.Context, p *Provider, c *Call, input string) error {
	if f, ok := p.dialect().(Finder); ok {
		return f.Find(ctx, c, input)
	}
	if p.Ask != AskInstance {
		return nil
	}
	u, err := url.Parse(input)
	if err == nil && u.Host == "" {
		u, err = url.Parse("https://" + input)
	}
	if err != nil || u.Host == "" || u.Scheme != "https" {
		return &FlowError{FlowBadInput, errors.New("the instance is no https address")}
	}
	c.Server.Issuer = "https://" + u.Host
	c.Server.Resource = c.Server.Issuer
	return nil
}
