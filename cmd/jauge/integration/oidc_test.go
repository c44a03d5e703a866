//go:build integration

package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// issuer is the authorization server that somebody else wrote, with the API beside it that takes its tokens alone.
type issuer struct {
	t                                            *testing.T
	Issuer, Authorize, Token, Revoke, Introspect string
	Register, API, Control, Log                  string
	AuthorizeHost                                string
}

func authorizationServer(t *testing.T) *issuer {
	t.Helper()
	b, err := os.ReadFile(needEnv(t, "JAUGE_TEST_OIDC"))
	if err != nil {
		t.Fatalf("the authorization server is not up (make testbed): %v", err)
	}
	i := &issuer{t: t}
	if err := json.Unmarshal(b, i); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(i.Authorize)
	if err != nil {
		t.Fatal(err)
	}
	i.AuthorizeHost = u.Host
	return i
}

// client is a client that was registered at the server.
type client struct {
	*issuer
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// native are the redirect addresses of a program on this machine: the server takes them with any port (RFC 8252).
var native = []string{"http://127.0.0.1/oauth/callback", "http://localhost/oauth/callback", "http://[::1]/oauth/callback"}

// client registers a client. Redirect addresses on loopback are taken with any port. Lives are access_life, code_life
// and refresh_life, in seconds.
func (i *issuer) client(redirects []string, lives object) *client {
	i.t.Helper()
	kind := "web"
	if strings.HasPrefix(redirects[0], "http:") {
		kind = "native"
	}
	metadata := object{
		"application_type": kind, "redirect_uris": redirects, "response_types": []string{"code"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "client_secret_basic",
	}
	for k, v := range lives {
		metadata[k] = v
	}
	c := &client{issuer: i}
	i.post(i.Register, metadata, c)
	if c.ID == "" || c.Secret == "" {
		i.t.Fatal("the authorization server registered no client")
	}
	return c
}

// post sends JSON to the server, which has to succeed.
func (i *issuer) post(address string, body object, into any) {
	i.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		i.t.Fatal(err)
	}
	i.send(address, "application/json", b, nil, into)
}

func (i *issuer) send(address, kind string, content []byte, as *client, into any) {
	i.t.Helper()
	// Tests ask after their own end too, when they clean up.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(content))
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if as != nil {
		req.SetBasicAuth(url.QueryEscape(as.ID), url.QueryEscape(as.Secret))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= http.StatusBadRequest {
		i.t.Fatalf("%s: HTTP %d %v: %s", address, res.StatusCode, err, text)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(text, into); err != nil {
		i.t.Fatalf("%s: %v: %s", address, err, text)
	}
}

// x is the environment by which the server stands in X's place.
func (c *client) x() []string { return c.env("X", c.API) }

// pinterest is the same for Pinterest.
func (c *client) pinterest() []string {
	return append(c.env("PINTEREST", c.API), "JAUGE_PINTEREST_SCOPES=pins:read")
}

func (c *client) env(p, base string) []string {
	v := "JAUGE_" + p + "_"
	return []string{
		v + "CLIENT_ID=" + c.ID, v + "CLIENT_SECRET=" + c.Secret, v + "AUTH_URL=" + c.Authorize, v + "TOKEN_URL=" + c.Token,
		v + "REVOKE_URL=" + c.issuer.Revoke, v + "BASE_URL=" + base,
	}
}

// active asks the server whether a token is worth anything.
func (c *client) active(token string) bool {
	c.t.Helper()
	var answer struct{ Active bool }
	c.send(c.Introspect, "application/x-www-form-urlencoded", []byte(url.Values{"token": {token}}.Encode()), c, &answer)
	return answer.Active
}

// revoke lets the user take back all that was granted to the client.
func (c *client) revoke() {
	c.t.Helper()
	var answer struct{ Grants int }
	c.post(c.Control+"/revoke", object{"client_id": c.ID}, &answer)
	if answer.Grants == 0 {
		c.t.Fatal("the authorization server knows of no grant to revoke")
	}
}

// fault lets the next answers to a refresh go wrong: kind is drop, status or delay. The server carries the refresh out
// before, unless executed is false.
func (c *client) fault(kind string, more object) {
	c.t.Helper()
	f := object{"client_id": c.ID, "kind": kind}
	for k, v := range more {
		f[k] = v
	}
	c.post(c.Control+"/fault", f, nil)
}

// event is a line of the server's log.
type event struct {
	At           time.Time
	Event        string
	Client       string
	Path         string
	Status       int
	Error        string
	Detail       string
	Kind         string
	GrantType    string `json:"grant_type"`
	Code         string
	Verifier     string
	Challenge    string
	Method       string
	State        string
	Scope        string
	RedirectURI  string `json:"redirect_uri"`
	RefreshToken string `json:"refresh_token"`
	Token        string
	Account      string
	Valid, Known bool
	Executed     bool
	Reuse        bool
	Issued       struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		IDToken      string `json:"id_token"`
	}
}

// events are what happened to the client at the server, oldest first, of the given kinds or of all.
func (c *client) events(kinds ...string) []event {
	c.t.Helper()
	b, err := os.ReadFile(c.Log)
	if err != nil {
		c.t.Fatal(err)
	}
	var out []event
	for line := range bytes.Lines(b) {
		if !bytes.Contains(line, []byte(c.ID)) {
			continue
		}
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			c.t.Fatalf("log of the authorization server: %v: %s", err, line)
		}
		if e.Client == c.ID && (len(kinds) == 0 || slices.Contains(kinds, e.Event)) {
			out = append(out, e)
		}
	}
	return out
}

// refreshes are the token requests that were refreshes and were answered with a token.
func (c *client) refreshes() []event {
	c.t.Helper()
	return slices.DeleteFunc(c.events("token"), func(e event) bool { return e.GrantType != "refresh_token" || e.Status != http.StatusOK })
}

// newest is the token pair that was issued last.
func (c *client) newest() (access, refresh string) {
	c.t.Helper()
	for _, e := range slices.Backward(c.events("token")) {
		if e.Issued.AccessToken != "" {
			return e.Issued.AccessToken, e.Issued.RefreshToken
		}
	}
	c.t.Fatal("the authorization server issued no token")
	return "", ""
}

// presented counts how often each refresh token came to the server, whatever became of the request.
func (c *client) presented() map[string]int {
	c.t.Helper()
	out := map[string]int{}
	for _, e := range c.events("token", "fault") {
		// A fault after the server has acted stands beside the line of the act.
		if e.RefreshToken != "" && (e.Event == "token" || !e.Executed && e.Kind != "delay") {
			out[e.RefreshToken]++
		}
	}
	return out
}

// noReuse demands that no refresh token was sent twice, and that the server never suspected a theft.
func (c *client) noReuse() {
	c.t.Helper()
	for token, n := range c.presented() {
		if n > 1 {
			c.t.Errorf("the refresh token %s… was sent %d times", token[:6], n)
		}
	}
	for _, e := range c.events("token", "grant.revoked", "grant.error") {
		if e.Reuse || strings.Contains(e.Detail, "already used") {
			c.t.Errorf("the authorization server detected the reuse of a refresh token at %s", e.At.Format(time.RFC3339Nano))
		}
	}
}

// authorisedCalls counts the API calls that the server's own tokens opened.
func (c *client) authorisedCalls() int {
	c.t.Helper()
	return len(slices.DeleteFunc(c.events("api"), func(e event) bool { return !e.Valid || !e.Known }))
}

// String sums up what happened at the server.
func (c *client) String() string {
	count := map[string]int{}
	for _, e := range c.events() {
		count[strings.TrimSpace(e.Event+" "+e.GrantType+" "+e.Error)]++
	}
	return fmt.Sprint(count)
}
