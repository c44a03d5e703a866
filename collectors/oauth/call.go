package oauth

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge"
)

// call makes what a dialect works with, for a grant or one that is about to be.
func (v *Vault) call(p *Provider, grant string, s *Server, redirect string) *Call {
	if s == nil {
		s = &Server{}
	}
	v.nonces.into(grant, s)
	base := v.deps.Base
	if base == nil {
		base = func(jauge.Platform) string { return "" }
	}
	c := &Call{
		Provider: p, App: v.deps.Apps[p.Name], Server: s, HTTP: v.deps.Clients(p), Redirect: redirect,
		Public: v.deps.Public, Base: base, Now: func() time.Time { return time.Now().UTC() },
		Recall: func(ctx context.Context, name string) ([]byte, error) { return v.recall(ctx, p.Name, name) },
		Remember: func(ctx context.Context, name string, value []byte) error {
			return v.remember(ctx, p.Name, name, value)
		},
	}
	if k := v.signer.Load(); k != nil {
		c.ClientKey = slices.Clone(k.der)
	}
	return c
}

// clean makes an error of a dialect fit to be shown: without addresses and without the secrets that the call had.
func clean(err error, c *Call, more ...jauge.Secret) error {
	if err == nil {
		return nil
	}
	secrets := append(more, c.App.ClientSecret, c.Server.ClientSecret)
	return Blot(Scrub(err), secrets...)
}

// secrets are what no error may show.
func (t *Token) secrets() []jauge.Secret { return []jauge.Secret{t.Access, t.Refresh} }

// nonceBook keeps the newest DPoP nonces of grants by origin, in memory: each answer may bring another one, and a stale
// one costs a request, no more.
type nonceBook struct {
	mu   sync.Mutex
	book map[string]map[string]string
}

func newNonceBook() *nonceBook { return &nonceBook{book: map[string]map[string]string{}} }

// into puts what is known into a server's nonces.
func (n *nonceBook) into(grant string, s *Server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known := n.book[grant]; len(known) > 0 {
		s.Nonces = maps.Clone(s.Nonces)
		if s.Nonces == nil {
			s.Nonces = map[string]string{}
		}
		maps.Copy(s.Nonces, known)
	}
}

// learn keeps the nonces of a server; grants that bear no key have none.
func (n *nonceBook) learn(grant string, nonces map[string]string) {
	if grant == "" || len(nonces) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.book[grant] == nil {
		n.book[grant] = map[string]string{}
	}
	maps.Copy(n.book[grant], nonces)
}

func (n *nonceBook) forget(grant string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.book, grant)
}

// origin is what a nonce belongs to.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// maxRedirects bounds how far back a redirected request is followed to where it began.
const maxRedirects = 10

// strayed tells whether redirects have led a request to another place than its caller named: a token is not for there.
func strayed(req *http.Request) bool {
	first := req
	for range maxRedirects + 1 {
		if first.Response == nil || first.Response.Request == nil {
			break
		}
		first = first.Response.Request
	}
	return first.URL.Host != req.URL.Host || first.URL.Scheme != req.URL.Scheme
}

var errBody = errors.New("the request's body cannot be sent twice")

// copyOf makes a copy of a request whose body is unread: a RoundTripper must not change what it was given. again says
// that the body was sent before.
func copyOf(req *http.Request, again bool) (*http.Request, error) {
	c := req.Clone(req.Context())
	if !again || req.Body == nil || req.Body == http.NoBody {
		return c, nil
	}
	if req.GetBody == nil {
		return nil, errBody
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, errBody
	}
	c.Body = body
	return c, nil
}

// signed sends a request with a token, through base. Where the server wants another DPoP nonce or proof (RFC 9449
// section 8), it is signed and sent once more.
type signed struct {
	v     *Vault
	p     *Provider
	grant string
	base  http.RoundTripper
}

func (s *signed) send(req *http.Request, server *Server, t *Token, again bool) (*http.Response, error) {
	for try := 0; ; try++ {
		out, err := copyOf(req, again || try > 0)
		if err != nil {
			return nil, err
		}
		c := s.v.call(s.p, s.grant, server, "")
		if err := s.p.dialect().Sign(c, out, t); err != nil {
			closeBody(out)
			return nil, clean(err, c, t.secrets()...)
		}
		out.Response = nil // it goes where it was sent: what lies below shall not take a grant's own server for a detour
		resp, err := s.base.RoundTrip(out)
		if err != nil {
			return nil, err
		}
		fresh := s.nonce(out, resp, server)
		if try > 0 || !wantsProof(resp, fresh) || !replayable(req) {
			return resp, nil
		}
		discard(resp)
	}
}

// nonce keeps the nonce of an answer, and tells whether it is another one than the request had.
func (s *signed) nonce(req *http.Request, resp *http.Response, server *Server) bool {
	n := resp.Header.Get("DPoP-Nonce")
	if n == "" || len(server.Key) == 0 {
		return false
	}
	at := origin(req.URL)
	fresh := server.Nonces[at] != n
	if server.Nonces == nil {
		server.Nonces = map[string]string{}
	}
	server.Nonces[at] = n
	s.v.nonces.learn(s.grant, map[string]string{at: n})
	return fresh
}

// wantsProof tells whether an answer asks for the same request with another DPoP proof, and says nothing of the token.
func wantsProof(resp *http.Response, freshNonce bool) bool {
	if resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	asked := strings.Join(resp.Header.Values("WWW-Authenticate"), " ")
	return freshNonce && strings.Contains(asked, "use_dpop_nonce") || strings.Contains(asked, "invalid_dpop_proof")
}

// replayable tells whether a request can be sent a second time.
func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// discard reads what is left of a short body, so that its connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxJudged))
	_ = resp.Body.Close()
}
