package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"jauge.dev/jauge"
)

// Standard speaks RFC 6749 with PKCE (RFC 7636) and RFC 7009. It is x/oauth2 as far as the address of the consent page;
// token requests are its own: x/oauth2 refuses an expires_in that is no whole number when the code is already spent, can
// put nothing more on a refresh, and may send a request twice to find out how the client has to name itself.
type Standard struct {
	// ExchangeParams and RenewParams are further fields of the two token requests: continuous_refresh=true.
	ExchangeParams, RenewParams map[string]string
}

var _ Dialect = Standard{}

// Addresses are the endpoints to be used: those of the grant's own server where it has one, else the provider's.
func (c *Call) Addresses() Endpoints {
	e := c.Provider.Endpoints
	if c.Server != nil {
		e.Authorize = cmp.Or(c.Server.Endpoints.Authorize, e.Authorize)
		e.Token = cmp.Or(c.Server.Endpoints.Token, e.Token)
		e.Revoke = cmp.Or(c.Server.Endpoints.Revoke, e.Revoke)
	}
	return e
}

// Client is the client's name and secret at the grant's server.
func (c *Call) Client() App {
	if c.Server != nil && c.Server.ClientID != "" {
		return App{c.Server.ClientID, c.Server.ClientSecret}
	}
	return c.App
}

// Begin makes the address of the consent page.
func (Standard) Begin(_ context.Context, c *Call, s *Start, _ string) error {
	p, app := c.Provider, c.Client()
	if app.ClientID == "" {
		return &FlowError{FlowNotConfigured, fmt.Errorf("%s has no client id: set JAUGE_%s_CLIENT_ID and its secret", p.Title, p.App)}
	}
	cfg := oauth2.Config{
		ClientID: app.ClientID, RedirectURL: c.Redirect, Endpoint: oauth2.Endpoint{AuthURL: c.Addresses().Authorize},
		// One element: x/oauth2 knows no other separator than the blank.
		Scopes: []string{strings.Join(p.Scopes, cmp.Or(p.Separator, " "))},
	}
	var opts []oauth2.AuthCodeOption
	if !p.NoPKCE {
		opts = append(opts, oauth2.S256ChallengeOption(s.Verifier.Reveal()))
	}
	for _, k := range slices.Sorted(maps.Keys(p.Params)) {
		opts = append(opts, oauth2.SetAuthURLParam(k, p.Params[k]))
	}
	address, err := url.Parse(cfg.AuthCodeURL(s.State, opts...))
	if err != nil {
		return &FlowError{FlowProvider, fmt.Errorf("make address of the consent page: %w", Scrub(err))}
	}
	if p.ClientKey != "" {
		q := address.Query()
		q.Del("client_id")
		q.Set(p.ClientKey, app.ClientID)
		address.RawQuery = q.Encode()
	}
	s.URL = address.String()
	return nil
}

// Exchange trades the callback's code for a token.
func (d Standard) Exchange(ctx context.Context, c *Call, s *Start, callback url.Values) (*Token, error) {
	code, err := Code(c, callback)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Redirect}}
	secrets := []jauge.Secret{jauge.Secret(code)}
	if !c.Provider.NoPKCE {
		form.Set("code_verifier", s.Verifier.Reveal())
		secrets = append(secrets, s.Verifier)
	}
	for k, v := range d.ExchangeParams {
		form.Set(k, v)
	}
	t, err := PostToken(ctx, c, c.Addresses().Token, form, secrets...)
	if err != nil {
		return nil, ExchangeError(err)
	}
	return t, nil
}

// Code reads the code out of a callback. A callback that tells of an error gives a *FlowError; a denial is told by
// access_denied (RFC 6749 section 4.1.2.1) and by LinkedIn's user_cancelled_….
func Code(c *Call, callback url.Values) (string, error) {
	// RFC 9207: an answer that names its server must name the one that was asked.
	if iss := callback.Get("iss"); iss != "" && c.Server != nil && c.Server.Issuer != "" && iss != c.Server.Issuer {
		return "", &FlowError{FlowWrongIssuer, fmt.Errorf("the answer came from %s instead of %s", cut(iss), c.Server.Issuer)}
	}
	if word := callback.Get("error"); word != "" {
		kind := FlowProvider
		switch {
		case word == "access_denied" || word == "user_denied" || strings.HasPrefix(word, "user_cancelled"):
			kind = FlowDenied
		case strings.Contains(word, "redirect_uri"):
			kind = FlowBadRedirect
		case strings.Contains(word, "scope"):
			kind = FlowScope
		}
		return "", &FlowError{kind, fmt.Errorf("%s: %s", cut(word), cut(callback.Get("error_description")))}
	}
	code := callback.Get("code")
	if code == "" {
		return "", &FlowError{FlowProvider, errors.New("the answer has neither code nor error")}
	}
	return code, nil
}

// ExchangeError says what a failed exchange means for an authorization; the cause stays in it.
func ExchangeError(err error) error {
	if f, ok := errors.AsType[*FlowError](err); ok && f.Kind != FlowProvider || err == nil {
		return err
	}
	t, ok := errors.AsType[*TokenError](err)
	if !ok {
		return &FlowError{FlowNetwork, err}
	}
	said := strings.ToLower(t.Code + " " + t.Text)
	switch {
	// A wrong redirect address is an invalid_grant as well (RFC 6749 section 5.2); a text that names every reason that
	// there may be, an expired code among them, is about the code most of the time.
	case strings.Contains(said, "redirect") && !strings.Contains(said, "expired"):
		return &FlowError{FlowBadRedirect, err}
	case t.Code == "invalid_grant" || strings.Contains(said, "authorization code"):
		return &FlowError{FlowBadCode, err}
	case t.Code == "invalid_scope":
		return &FlowError{FlowScope, err}
	}
	return &FlowError{FlowProvider, err}
}

// Renew asks for a new token: with the refresh token, or (Reissue) in the client's own name. What the answer leaves out
// stays as it was: the refresh token above all.
func (d Standard) Renew(ctx context.Context, c *Call, old *Token) (*Token, error) {
	form, spent := url.Values{}, jauge.Secret("")
	switch m := c.Provider.Renewal.Model; m {
	case Rotating, Reusable:
		if old.Refresh == "" {
			return nil, fmt.Errorf("renew: %w: %s gave no refresh token", ErrNotSent, c.Provider.Title)
		}
		spent = old.Refresh
		form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {spent.Reveal()}}
	case Reissue:
		form.Set("grant_type", "client_credentials")
		if len(c.Provider.Scopes) > 0 {
			form.Set("scope", strings.Join(c.Provider.Scopes, cmp.Or(c.Provider.Separator, " ")))
		}
	case Extend, Static:
		return nil, fmt.Errorf("renew: %w: a token of model %s is not renewed by a refresh", ErrNotSent, m)
	default:
		return nil, fmt.Errorf("renew: %w: provider %s has no renewal model", ErrNotSent, c.Provider.Name)
	}
	for k, v := range d.RenewParams {
		form.Set(k, v)
	}
	t, err := PostToken(ctx, c, c.Addresses().Token, form, spent)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	return Inherit(t, old), nil
}

// Inherit completes a renewed token with what its answer left out.
func Inherit(t, old *Token) *Token {
	if t.Refresh == "" {
		t.Refresh, t.RefreshExpiry = old.Refresh, old.RefreshExpiry
	}
	if t.Scopes == nil {
		t.Scopes = old.Scopes
	}
	t.Subject = cmp.Or(t.Subject, old.Subject)
	t.Type = cmp.Or(t.Type, old.Type)
	for k, v := range old.Extra {
		if _, ok := t.Extra[k]; ok {
			continue
		}
		if t.Extra == nil {
			t.Extra = map[string]string{}
		}
		t.Extra[k] = v
	}
	return t
}

// Revoke ends a grant at the provider: by its refresh token where it has one, since that takes the others with it. A token
// that the provider knows no more has been revoked (RFC 7009 section 2.2).
func (Standard) Revoke(ctx context.Context, c *Call, t *Token) error {
	address := c.Addresses().Revoke
	if address == "" {
		return nil
	}
	form := url.Values{"token": {t.Access.Reveal()}, "token_type_hint": {"access_token"}}
	if t.Refresh != "" {
		form = url.Values{"token": {t.Refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	}
	req, err := FormRequest(ctx, c, address, form)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	a, err := Fetch(ctx, c, req)
	secrets := []jauge.Secret{t.Access, t.Refresh, c.Client().ClientSecret}
	if err != nil {
		return Blot(fmt.Errorf("revoke: %w", err), secrets...)
	}
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	_, err = ReadToken(c, a)
	if e, ok := errors.AsType[*TokenError](err); ok && (e.Code == "invalid_token" || e.Code == "invalid_grant") {
		return nil
	}
	return Blot(fmt.Errorf("revoke: %w", err), secrets...)
}

// Sign puts the token on an API request.
func (Standard) Sign(_ *Call, req *http.Request, t *Token) error {
	kind := t.Type
	if kind == "" || strings.EqualFold(kind, "bearer") {
		kind = "Bearer" // X and Pinterest spell it in small letters, and not every API reads it so
	}
	req.Header.Set("Authorization", kind+" "+t.Access.Reveal())
	return nil
}

// PostToken sends a form to a token endpoint, with the client's name and secret as the provider takes them, and reads the
// token. secrets are what else the form holds that no error may show.
func PostToken(ctx context.Context, c *Call, address string, form url.Values, secrets ...jauge.Secret) (*Token, error) {
	req, err := FormRequest(ctx, c, address, form)
	if err != nil {
		return nil, err
	}
	return FetchToken(ctx, c, req, append(secrets, c.Client().ClientSecret)...)
}

// FormRequest makes a POST of a form in the client's name. A client without a secret names itself in the form, whatever
// the style (RFC 6749 section 3.2.1).
func FormRequest(ctx context.Context, c *Call, address string, form url.Values) (*http.Request, error) {
	app, header := c.Client(), false
	key := cmp.Or(c.Provider.ClientKey, "client_id")
	switch {
	case app.ClientSecret == "":
		form.Set(key, app.ClientID)
	case c.Provider.Auth == InHeader:
		header = true
	default:
		form.Set(key, app.ClientID)
		form.Set("client_secret", app.ClientSecret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: make request: %w", ErrNotSent, Scrub(err))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if header {
		// Both are form-encoded first (RFC 6749 section 2.3.1).
		req.SetBasicAuth(url.QueryEscape(app.ClientID), url.QueryEscape(app.ClientSecret.Reveal()))
	}
	return req, nil
}
