package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// instanceServer is where a server takes what belongs to OAuth.
type instanceServer struct {
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	Revoke    string `json:"revocation_endpoint"`
	Register  string `json:"app_registration_endpoint"`
}

// discover reads a server's metadata (RFC 8414; since 4.3). An older server, and any other that has none, is asked where
// every Mastodon is.
//
// Every address must be on the server itself: one that named another's consent page and its own token endpoint would be
// given codes that are not meant for it. Where the operator put a gateway in the server's place, the addresses name the
// server behind it: then their paths count.
func discover(ctx context.Context, c *oauth.Call) (*instanceServer, error) {
	root := c.Server.Resource
	usual := &instanceServer{
		Authorize: root + "/oauth/authorize", Token: root + "/oauth/token", Revoke: root + "/oauth/revoke", Register: root + "/api/v1/apps",
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/.well-known/oauth-authorization-server", http.NoBody)
	if err != nil {
		return nil, badInput("find server: %w", oauth.Scrub(err))
	}
	req.Header.Set("Accept", "application/json")
	a, err := oauth.Fetch(ctx, c, req)
	if err != nil {
		return nil, &oauth.FlowError{Kind: kindOf(err), Err: fmt.Errorf("find server: %w", err)}
	}
	if a.Status >= 500 || a.Status == http.StatusTooManyRequests {
		return nil, &oauth.FlowError{Kind: oauth.FlowNetwork, Err: fmt.Errorf("find server: %s answered with status %d", req.URL.Host, a.Status)}
	}
	found, own := &instanceServer{}, origin(req.URL)
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, found) != nil {
		return usual, nil
	}
	for _, e := range []struct{ at, or *string }{
		{&found.Authorize, &usual.Authorize}, {&found.Token, &usual.Token}, {&found.Revoke, &usual.Revoke}, {&found.Register, &usual.Register},
	} {
		if *e.at == "" {
			*e.at = *e.or
			continue
		}
		u, err := url.Parse(*e.at)
		switch {
		case err != nil:
			return nil, flowProvider("the server's metadata is malformed")
		case origin(u) == own:
		case mastodonBase(c) != "":
			*e.at = root + u.EscapedPath()
			if u.RawQuery != "" {
				*e.at += "?" + u.RawQuery
			}
		default:
			return nil, badInput("%s leaves logins to another server: write %s instead", req.URL.Host, cut(u.Host))
		}
	}
	return found, nil
}

// app is our registration at a server.
type app struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	// Token is the registration's own, by which it can be asked whether it still stands.
	Token string `json:"token,omitempty"`
}

// appName is under which name a registration is remembered: server, redirect address and scopes are all part of it.
func appName(c *oauth.Call) string {
	return strings.Join([]string{"app", c.Server.Resource, c.Redirect, strings.Join(c.Provider.Scopes, " ")}, "\n")
}

// beClient finds the registration at the server, and registers where there is none or the server has forgotten it.
func beClient(ctx context.Context, c *oauth.Call, register string) error {
	if c.Recall != nil {
		b, err := c.Recall(ctx, appName(c))
		if err != nil {
			return fmt.Errorf("find registration: %w", err)
		}
		var known app
		if b != nil && json.Unmarshal(b, &known) == nil && known.ID != "" && stands(ctx, c, &known) {
			c.Server.ClientID, c.Server.ClientSecret = known.ID, jauge.Secret(known.Secret)
			return nil
		}
	}
	return registerApp(ctx, c, register)
}

// stands asks whether a registration is still known. Only a clear no counts: before 4.3 a server wants a scope for this
// question that we do not ask for, and one that is out of order is found out soon enough.
func stands(ctx context.Context, c *oauth.Call, a *app) bool {
	if a.Token == "" {
		return true
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server.Resource+"/api/v1/apps/verify_credentials", http.NoBody)
	if err != nil {
		return true
	}
	req.Header.Set("Authorization", "Bearer "+a.Token)
	answer, err := oauth.Fetch(ctx, c, req)
	return err != nil || answer.Status != http.StatusUnauthorized
}

func registerApp(ctx context.Context, c *oauth.Call, register string) error {
	form := url.Values{"client_name": {"jauge"}, "redirect_uris": {c.Redirect}, "scopes": {strings.Join(c.Provider.Scopes, " ")}}
	if strings.HasPrefix(c.Public, "https://") {
		form.Set("website", c.Public)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, register, strings.NewReader(form.Encode()))
	if err != nil {
		return flowProvider("register: %w", oauth.Scrub(err))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	answer, err := oauth.Fetch(ctx, c, req)
	if err != nil {
		return &oauth.FlowError{Kind: kindOf(err), Err: fmt.Errorf("register: %w", err)}
	}
	var made app
	if answer.Status < 200 || answer.Status > 299 {
		_, err := oauth.ReadToken(c, answer)
		return oauth.ExchangeError(fmt.Errorf("register: %w", err))
	}
	if json.Unmarshal(answer.Body, &made) != nil || made.ID == "" || made.Secret == "" {
		return flowProvider("register: the answer of %s holds no client", req.URL.Host)
	}
	c.Server.ClientID, c.Server.ClientSecret = made.ID, jauge.Secret(made.Secret)
	// A token of its own keeps the registration: servers before 4.3 throw out those that were never used. One that gives
	// none is believed nonetheless.
	if t, err := oauth.PostToken(ctx, c, c.Server.Endpoints.Token, url.Values{
		"grant_type": {"client_credentials"}, "scope": {strings.Join(c.Provider.Scopes, " ")},
	}); err == nil {
		made.Token = t.Access.Reveal()
	}
	return keepApp(ctx, c, &made)
}

func keepApp(ctx context.Context, c *oauth.Call, a *app) error {
	if c.Remember == nil {
		return nil
	}
	b, err := json.Marshal(a)
	if err == nil {
		err = c.Remember(ctx, appName(c), b)
	}
	if err != nil {
		return fmt.Errorf("keep registration: %w", err)
	}
	return nil
}

func forgetApp(ctx context.Context, c *oauth.Call) error {
	if c.Remember == nil {
		return nil
	}
	if err := c.Remember(ctx, appName(c), nil); err != nil {
		return fmt.Errorf("forget registration: %w", err)
	}
	return nil
}
