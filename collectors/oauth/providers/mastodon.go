package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// mastodon is any server that speaks Mastodon's API: each is an authorization server of its own, at which jauge registers
// itself.
func mastodon() oauth.Provider {
	return oauth.Provider{
		Name: "mastodon", Title: "Mastodon", App: "MASTODON",
		Platforms: []jauge.Platform{jauge.Mastodon},
		Ask:       oauth.AskInstance,
		Scopes:    []string{"read:accounts", "read:statuses"},
		// A token lives until somebody revokes it: the answer has neither expires_in nor refresh_token.
		Renewal: oauth.Renewal{Model: oauth.Static},
		Dead:    map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		Dialect: mastodonDialect{},
		List:    mastodonAccount,
		Refused: mastodonRefused,
		Docs:    "https://docs.joinmastodon.org/client/token/",
		Hint:    "Nothing to register: jauge registers itself at the server of each account.",
	}
}

// mastodonDialect is the standard, at a server that the user names.
type mastodonDialect struct{ oauth.Standard }

// Find tells the server that was typed. Server.Issuer is the server by the name that accounts bear (id@name);
// Server.Resource is where it is called, which is elsewhere where the operator put something in its place.
func (mastodonDialect) Find(ctx context.Context, c *oauth.Call, input string) error {
	in, err := parseInstance(c, input)
	if err != nil {
		return err
	}
	if in.user != "" && mastodonBase(c) == "" {
		in.name = homeOf(ctx, c, in)
	}
	*c.Server = oauth.Server{Issuer: "https://" + in.name, Resource: first(mastodonBase(c), "https://"+in.name)}
	return nil
}

// Begin finds the server, and registers there unless the operator has.
func (d mastodonDialect) Begin(ctx context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	if err := d.Find(ctx, c, input); err != nil {
		return err
	}
	s.Hint = strings.TrimPrefix(c.Server.Issuer, "https://")
	mine := c.Provider.Endpoints // of the operator, where set
	found := &instanceServer{}
	if mine.Authorize == "" || mine.Token == "" || c.App.ClientID == "" {
		var err error
		if found, err = discover(ctx, c); err != nil {
			return err
		}
	}
	c.Server.Endpoints = oauth.Endpoints{
		Authorize: first(mine.Authorize, found.Authorize), Token: first(mine.Token, found.Token), Revoke: first(mine.Revoke, found.Revoke),
	}
	if c.App.ClientID == "" {
		if err := beClient(ctx, c, found.Register); err != nil {
			return err
		}
	}
	return d.Standard.Begin(ctx, c, s, input)
}

// Exchange trades the code for a token. A server that no longer knows us is forgotten, so that the next attempt registers.
func (d mastodonDialect) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	if iss := strings.TrimRight(callback.Get("iss"), "/"); iss != "" && (iss == c.Server.Issuer || iss == c.Server.Resource) {
		// Mastodon spells its issuer with a slash at the end, and one behind a gateway knows another name than we do.
		callback = without(callback, "iss")
	}
	t, err := d.Standard.Exchange(ctx, c, s, callback)
	if e, ok := errors.AsType[*oauth.TokenError](err); ok && e.Code == "invalid_client" && c.Server.ClientID != "" {
		if ferr := forgetApp(ctx, c); ferr != nil {
			return nil, errors.Join(err, ferr)
		}
	}
	return t, err
}

// Sign puts the token on calls of the grant's own server, and on no other: a collector's client serves them all.
func (d mastodonDialect) Sign(c *oauth.Call, req *http.Request, t *oauth.Token) error {
	root, err := url.Parse(first(mastodonBase(c), c.Server.Resource))
	if err != nil || root.Host == "" {
		return errors.New("sign: the account's server is not known")
	}
	if req.URL.Scheme != root.Scheme || !strings.EqualFold(req.URL.Host, root.Host) {
		return nil
	}
	return d.Standard.Sign(c, req, t)
}

func without(v url.Values, key string) url.Values {
	out := url.Values{}
	for k, list := range v {
		if k != key {
			out[k] = list
		}
	}
	return out
}

// mastodonBase is what the operator put in the place of every server, without a slash at its end; else "".
func mastodonBase(c *oauth.Call) string {
	if c.Base == nil {
		return ""
	}
	return strings.TrimRight(c.Base(jauge.Mastodon), "/")
}

// instance is what was typed: the server's name in lower case, and the user's where a handle was typed.
type instance struct{ name, user string }

var (
	instanceName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	publicName   = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`) // no address
	instanceUser = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
)

const exampleInstance = "mastodon.example or @brand@mastodon.example"

// parseInstance reads a host, an address of a page of the server, or a handle. It is called under https, whatever was
// typed. With the operator's base the name is that base's where nothing was typed.
func parseInstance(c *oauth.Call, input string) (instance, error) {
	typed := strings.TrimSpace(input)
	if base := mastodonBase(c); typed == "" && base != "" {
		typed = base
	}
	var in instance
	switch {
	case strings.Contains(typed, "://"):
		u, err := url.Parse(typed)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return in, badInput("%q is no server's address: write it like %s", cut(typed), exampleInstance)
		}
		in.name = u.Host
	case strings.Contains(typed, "@"):
		in.user, in.name, _ = strings.Cut(strings.TrimPrefix(typed, "@"), "@")
		if !instanceUser.MatchString(in.user) {
			return in, badInput("%q is no handle: write it like %s", cut(typed), exampleInstance)
		}
	default:
		in.name, _, _ = strings.Cut(typed, "/")
	}
	in.name = strings.ToLower(in.name)
	if !validInstance(in.name) {
		return in, badInput("%q names no server: write it like %s", cut(typed), exampleInstance)
	}
	return in, nil
}

func validInstance(name string) bool {
	if h, port, err := net.SplitHostPort(name); err == nil {
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = h
	}
	return len(name) <= 253 && instanceName.MatchString(name)
}

// homeOf asks the handle's domain which server really serves the account (WebFinger, RFC 7033), as the collector does: that
// server's name is part of the account's id. Where it cannot say, it is taken to serve the account itself.
func homeOf(ctx context.Context, c *oauth.Call, in instance) string {
	body, err := readWeb(ctx, c, "https://"+in.name+"/.well-known/webfinger?resource="+url.QueryEscape("acct:"+in.user+"@"+in.name))
	if err != nil {
		return in.name
	}
	var found struct {
		Links []struct{ Rel, Type, Href string } `json:"links"`
	}
	if json.Unmarshal(body, &found) != nil {
		return in.name
	}
	for _, l := range found.Links {
		if l.Rel != "self" || !strings.Contains(l.Type, "activity+json") && !strings.Contains(l.Type, "ld+json") {
			continue
		}
		u, err := url.Parse(l.Href)
		if err != nil || u.Scheme != "https" {
			continue
		}
		if host := strings.ToLower(u.Host); publicName.MatchString(host) {
			return host
		}
	}
	return in.name
}

// mastodonAccount reads the one account that a grant opens. Its id is spelled as the collector spells it.
func mastodonAccount(ctx context.Context, c *oauth.Call, _ *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	const op = "read account"
	var a struct {
		ID     json.RawMessage `json:"id"` // a string; some servers write a number
		User   string          `json:"username"`
		Name   string          `json:"display_name"`
		Avatar string          `json:"avatar"`
	}
	root := first(mastodonBase(c), c.Server.Resource)
	if root == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonBadRequest, Err: errors.New("the account's server is not known")}
	}
	if err := oauth.GetJSON(ctx, c, op, root+"/api/v1/accounts/verify_credentials", nil, &a); err != nil {
		return oauth.Holder{}, nil, err
	}
	id := strings.Trim(string(a.ID), `"`)
	if id == "" || id == "null" || strings.ContainsAny(id, `"\@ {}[]`) || !instanceUser.MatchString(a.User) {
		return oauth.Holder{}, nil, &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New("the answer holds no account")}
	}
	name := strings.TrimPrefix(c.Server.Issuer, "https://")
	h := oauth.Holder{ID: id + "@" + name, Handle: "@" + a.User + "@" + name, Name: a.Name}
	return h, []oauth.Subject{{Platform: jauge.Mastodon, ID: h.ID, Handle: h.Handle, Name: h.Name, Avatar: a.Avatar}}, nil
}

// mastodonRefused reads what a server says of a token. Only what the API itself says counts, in words or by its challenge:
// something else may answer under that name. A login that its server has disabled keeps its token.
func mastodonRefused(status int, h http.Header, body []byte) oauth.Cause {
	var said struct {
		Error string `json:"error"`
	}
	spoke := json.Unmarshal(body, &said) == nil && said.Error != ""
	challenge := h.Get("WWW-Authenticate")
	switch {
	case status == http.StatusUnauthorized && (spoke || strings.Contains(challenge, "invalid_token")):
		return oauth.CauseTokenRefused
	case status == http.StatusForbidden && (strings.Contains(said.Error, "authorized scopes") || strings.Contains(challenge, "insufficient_scope")):
		return oauth.CauseScope
	}
	return oauth.CauseNone
}

var (
	_ oauth.Dialect = mastodonDialect{}
	_ oauth.Finder  = mastodonDialect{}
)

// flowProvider is the failure of a server that does not do its part.
func flowProvider(format string, args ...any) error {
	return &oauth.FlowError{Kind: oauth.FlowProvider, Err: fmt.Errorf(format, args...)}
}
