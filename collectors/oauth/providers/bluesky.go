package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

const (
	clientPath   = "/oauth/client-metadata.json"
	callbackPath = "/oauth/callback"
	xrpcPath     = "/xrpc/"

	// How long a session may last, and a refresh token of a confidential client, in the authorization server that Bluesky
	// publishes (constants of its oauth-provider, 0.15).
	publicSession       = 14 * 24 * time.Hour
	confidentialSession = 2 * 365 * 24 * time.Hour
	refreshLife         = 90 * 24 * time.Hour
	// publicNotice is how long before its end a public client's session is known to end: the vault warns of ends two weeks
	// ahead, and would warn from the first day on.
	publicNotice = 3 * 24 * time.Hour

	sessionEnds = "session_ends" // in Token.Extra
)

// bluesky is any server of the AT Protocol: each account's handle tells which.
func bluesky() oauth.Provider {
	return oauth.Provider{
		Name: "bluesky", Title: "Bluesky", App: "BLUESKY",
		Platforms: []jauge.Platform{jauge.Bluesky},
		Ask:       oauth.AskHandle,
		Endpoints: oauth.Endpoints{Directory: "https://plc.directory"},
		Base:      "https://public.api.bsky.app",
		Scopes:    blueskyScopes(),
		Renewal: oauth.Renewal{
			// A spent refresh token that comes again ends the session: renewals are few, in the last 6 minutes of the hour.
			Model: oauth.Rotating, Share: 0.1, Life: 15 * time.Minute, MaxLife: 24 * time.Hour,
		},
		Dead: map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant, otherAccount: oauth.CauseWrongObject},
		// invalid_client is none of them: the server says it too where it could not fetch our client document just then.
		Dialect: blueskyDialect{lookupTXT: net.DefaultResolver.LookupTXT},
		List:    blueskyAccount,
		Refused: blueskyRefused,
		Docs:    "https://atproto.com/specs/oauth",
		Hint: "Nothing to register. Without an https JAUGE_PUBLIC_URL the server takes jauge for a program on a desk " +
			"and ends the session after two weeks; with one it lasts for as long as it is renewed, up to two years.",
	}
}

// blueskyScopes are the calls of the collector, at any AppView: rpc scopes give these and nothing else.
func blueskyScopes() []string {
	out := []string{"atproto"}
	for _, m := range []string{"actor.getProfile", "actor.getProfiles", "feed.getAuthorFeed", "feed.getPosts", "feed.getPostThread"} {
		out = append(out, "rpc:app.bsky."+m+"?aud=*")
	}
	return out
}

// otherAccount is our own word for a renewal that was answered for somebody else.
const otherAccount = "other_account"

// blueskyDialect is OAuth as the AT Protocol wants it: pushed requests, DPoP, and a client that is its own document.
type blueskyDialect struct {
	oauth.Standard
	lookupTXT func(ctx context.Context, name string) ([]string, error)
}

// Begin finds the account's server, hands it the request, and sends the browser there.
func (d blueskyDialect) Begin(ctx context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	who, err := d.identify(ctx, c, input)
	if err != nil {
		return err
	}
	issuer, err := issuerOf(ctx, c, who.pds)
	if err != nil {
		return err
	}
	meta, err := readServer(ctx, c, issuer)
	if err != nil {
		return err
	}
	id, err := clientID(c)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	mine := c.Provider.Endpoints // of the operator, where set
	*c.Server = oauth.Server{
		Issuer: issuer, Resource: who.pds, PAR: meta.PAR, ClientID: id, Key: key,
		Endpoints: oauth.Endpoints{
			Authorize: first(mine.Authorize, meta.Authorize), Token: first(mine.Token, meta.Token), Revoke: first(mine.Revoke, meta.Revoke),
		},
	}
	s.Expect, s.Hint = who.did, first(who.handle, who.did)
	uri, err := push(ctx, c, s)
	if err != nil {
		return err
	}
	u, err := url.Parse(c.Server.Endpoints.Authorize)
	if err != nil {
		return &oauth.FlowError{Kind: oauth.FlowProvider, Err: errors.New("address of the consent page is malformed")}
	}
	q := u.Query()
	q.Set("client_id", id)
	q.Set("request_uri", uri)
	u.RawQuery = q.Encode()
	s.URL = u.String()
	return nil
}

// push sends the request itself (RFC 9126): what the browser carries is only its name.
func push(ctx context.Context, c *oauth.Call, s *oauth.Start) (uri string, err error) {
	a, err := postProven(ctx, c, c.Server.PAR, url.Values{
		"response_type": {"code"}, "redirect_uri": {c.Redirect}, "scope": {strings.Join(c.Provider.Scopes, " ")}, "state": {s.State},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(s.Verifier.Reveal())}, "code_challenge_method": {"S256"},
		"login_hint": {s.Hint},
	})
	if err != nil {
		return "", &oauth.FlowError{Kind: oauth.FlowNetwork, Err: fmt.Errorf("push request: %w", err)}
	}
	var out struct {
		URI string `json:"request_uri"`
	}
	if a.Status >= 200 && a.Status < 300 {
		if json.Unmarshal(a.Body, &out) == nil && out.URI != "" {
			return out.URI, nil
		}
		return "", &oauth.FlowError{Kind: oauth.FlowProvider, Err: errors.New("push request: the answer names no request")}
	}
	_, err = oauth.ReadToken(c, a)
	return "", oauth.ExchangeError(fmt.Errorf("push request: %w", err))
}

// Exchange trades the code for a token. The server that was asked must say that it answers (RFC 9207), and for whom: the
// account whose own documents led to this server.
func (blueskyDialect) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	if callback.Get("iss") != c.Server.Issuer {
		return nil, &oauth.FlowError{Kind: oauth.FlowWrongIssuer, Err: fmt.Errorf("the answer does not come from %s", c.Server.Issuer)}
	}
	code, err := oauth.Code(c, callback)
	if err != nil {
		return nil, err
	}
	t, err := fetchProven(ctx, c, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Redirect}, "code_verifier": {s.Verifier.Reveal()},
	}, jauge.Secret(code), s.Verifier)
	if err != nil {
		return nil, oauth.ExchangeError(err)
	}
	if s.Expect == "" || t.Subject != s.Expect {
		return nil, &oauth.FlowError{Kind: oauth.FlowWrongAccount, Err: fmt.Errorf("consent was given for %s instead of %s", t.Subject, s.Expect)}
	}
	life := publicSession
	if confidential(c) {
		life = confidentialSession
	}
	t.Extra = map[string]string{sessionEnds: t.Issued.Add(life).Format(time.RFC3339)}
	bound(c, t)
	return t, nil
}

// Renew trades the refresh token for a new pair.
func (blueskyDialect) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	if old.Refresh == "" {
		return nil, fmt.Errorf("renew: %w: there is no refresh token", oauth.ErrNotSent)
	}
	t, err := fetchProven(ctx, c, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh.Reveal()},
	}, old.Refresh)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	if t.Subject != "" && old.Subject != "" && t.Subject != old.Subject {
		return nil, fmt.Errorf("renew: %w", &oauth.TokenError{Status: http.StatusOK, Code: otherAccount, Text: "the token is for another account"})
	}
	t = oauth.Inherit(t, old)
	bound(c, t)
	return t, nil
}

// bound puts the end of the refresh token into a token, which no answer tells: the session's, or that of a confidential
// client's single refresh token, which moves with each renewal.
func bound(c *oauth.Call, t *oauth.Token) {
	end, err := time.Parse(time.RFC3339, t.Extra[sessionEnds])
	switch {
	case err != nil || t.Refresh == "":
	case confidential(c):
		t.RefreshExpiry = t.Issued.Add(refreshLife)
		if end.Before(t.RefreshExpiry) {
			t.RefreshExpiry = end
		}
	case t.Issued.After(end.Add(-publicNotice)):
		t.RefreshExpiry = end
	}
}

// fetchProven asks the token endpoint. Only a token bound to the key will do.
func fetchProven(ctx context.Context, c *oauth.Call, form url.Values, secrets ...jauge.Secret) (*oauth.Token, error) {
	a, err := postProven(ctx, c, c.Server.Endpoints.Token, form)
	if err != nil {
		return nil, oauth.Blot(err, secrets...)
	}
	t, err := oauth.ReadToken(c, a)
	if err != nil {
		return nil, oauth.Blot(err, secrets...)
	}
	if !strings.EqualFold(t.Type, "DPoP") {
		return nil, &oauth.TokenError{Status: a.Status, Code: "invalid_token_type", Text: "the token is not bound to a key"}
	}
	return t, nil
}

// Revoke ends the session.
func (blueskyDialect) Revoke(ctx context.Context, c *oauth.Call, t *oauth.Token) error {
	if c.Server.Endpoints.Revoke == "" {
		return nil
	}
	token := first(t.Refresh, t.Access)
	a, err := postProven(ctx, c, c.Server.Endpoints.Revoke, url.Values{"token": {token.Reveal()}})
	if err != nil {
		return oauth.Blot(fmt.Errorf("revoke: %w", err), t.Access, t.Refresh)
	}
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	_, err = oauth.ReadToken(c, a)
	if e, ok := errors.AsType[*oauth.TokenError](err); ok && (e.Code == "invalid_token" || e.Code == "invalid_grant") {
		return nil
	}
	return oauth.Blot(fmt.Errorf("revoke: %w", err), t.Access, t.Refresh)
}

// Sign sends a call of the API to the account's own server, which asks the AppView in the account's name, and proves the
// token. A token never goes anywhere else.
func (blueskyDialect) Sign(c *oauth.Call, req *http.Request, t *oauth.Token) error {
	if c.Server.Resource == "" {
		return errors.New("sign: the account's server is not known")
	}
	to, err := url.Parse(c.Server.Resource)
	if err != nil {
		return errors.New("sign: the address of the account's server is malformed")
	}
	i := strings.Index(req.URL.EscapedPath(), xrpcPath)
	if i < 0 {
		return errors.New("sign: the address is none of the API")
	}
	at := *req.URL
	at.Scheme, at.Host, at.User = to.Scheme, to.Host, nil
	at.RawPath = at.EscapedPath()[i:]
	if at.Path, err = url.PathUnescape(at.RawPath); err != nil {
		return errors.New("sign: the address is malformed")
	}
	req.URL, req.Host = &at, ""
	req.Header.Set("Authorization", "DPoP "+t.Access.Reveal())
	return prove(c, req, t.Access)
}

// blueskyAccount reads the one account that a grant opens, through its server: the first authorised call.
func blueskyAccount(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	var p struct {
		DID    string `json:"did"`
		Handle string `json:"handle"`
		Name   string `json:"displayName"`
		Avatar string `json:"avatar"`
	}
	address := c.Server.Resource + xrpcPath + "app.bsky.actor.getProfile?" + url.Values{"actor": {t.Subject}}.Encode()
	if err := oauth.GetJSON(ctx, c, "read profile", address, nil, &p); err != nil {
		return oauth.Holder{}, nil, err
	}
	if p.DID != t.Subject || p.DID == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: "read profile", Reason: jauge.ReasonDecode, Err: errors.New("the answer is about another account")}
	}
	return oauth.Holder{ID: p.DID, Handle: p.Handle, Name: p.Name}, []oauth.Subject{
		{Platform: jauge.Bluesky, ID: p.DID, Handle: p.Handle, Name: p.Name, Avatar: p.Avatar},
	}, nil
}

// blueskyRefused reads what an account's server says of a token. A missing nonce is none of it, nor what is wrong with the
// account.
func blueskyRefused(status int, h http.Header, body []byte) oauth.Cause {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &said) // without a word the header and the status must do
	challenge := h.Get("WWW-Authenticate")
	switch word := said.Error; {
	case word == nonceWanted || strings.Contains(challenge, nonceWanted):
		return oauth.CauseNone
	case status == http.StatusForbidden && (word == "ScopeMissingError" || word == "insufficient_scope"),
		strings.Contains(challenge, "insufficient_scope"):
		return oauth.CauseScope
	case word == "invalid_token" || word == "InvalidToken" || word == "ExpiredToken" || strings.Contains(challenge, "invalid_token"):
		return oauth.CauseTokenRefused
	}
	return oauth.CauseNone
}
