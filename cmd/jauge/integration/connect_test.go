//go:build integration

package integration_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// connectOnly is a configuration that follows no account: all come by being connected.
const connectOnly = "brands:\n  - name: acme\n    accounts: []\n"

// callback tells the addresses that a browser is sent to with a code.
func callback(u *url.URL) bool { return strings.HasSuffix(u.Path, "/oauth/callback") }

// connected connects a platform by the terminal and a browser, with the user's consent, and returns what the command
// said; it has to end well.
func (j *jauge) connected(c *client, platform, user string, more ...string) result {
	j.t.Helper()
	k := j.talk(append([]string{"connect", platform, "--all"}, more...)...)
	s := surf(j.t)
	p := s.consent(c.issuer, s.visit(k.address()), user)
	r := k.wait()
	if r.code != 0 {
		j.t.Fatalf("jauge connect %s: %s\nthe browser saw at last, HTTP %d: %s\nthe authorization server: %s", platform, r, p.status, p.text(), c)
	}
	return r
}

// TestConnectByTerminal connects X and Pinterest by `jauge connect`, by its own listener and by pasting, beside a daemon
// and without one; the grant works, is shown, and ends at the provider when it is disconnected.
func TestConnectByTerminal(t *testing.T) {
	for _, c := range []struct {
		name, platform string
		daemon, paste  bool
	}{
		{"alone", "x", false, false},
		{"alone, pasted", "x", false, true},
		{"beside a daemon", "x", true, false},
		{"beside a daemon, pasted", "x", true, true},
		{"another platform", "pinterest", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := authorizationServer(t).client(native, object{"access_life": 600, "no_pkce": c.platform == "pinterest"})
			j := install(t, connectOnly, app.x()...)
			if c.platform == "pinterest" {
				j = install(t, connectOnly, app.pinterest()...)
			}
			if c.daemon {
				d := j.start()
				d.ready()
			}
			connectByTerminal(t, j, app, c.platform, c.paste)
			disconnectByTerminal(t, j, app, c.platform)
		})
	}
}

func connectByTerminal(t *testing.T, j *jauge, app *client, platform string, paste bool) {
	t.Helper()
	before := time.Now()
	args := []string{"connect", platform, "--all"}
	if paste {
		args = append(args, "--paste")
	}
	k := j.talk(args...)
	s := surf(t)
	if paste {
		s.stop = callback
	}
	p := s.consent(app.issuer, s.visit(k.address()), "alder")
	if paste {
		k.answer(p.address.String())
	} else if p.status != http.StatusOK || p.heading()+p.text() == "" {
		t.Errorf("after consent the browser sees HTTP %d %q", p.status, p.text())
	}
	r := k.wait()
	if r.code != 0 {
		t.Fatalf("jauge %s: %s\nbrowser: HTTP %d %s\nauthorization server: %s", strings.Join(args, " "), r, p.status, p.text(), app)
	}
	if !strings.Contains(r.stdout+r.stderr, "alder") {
		t.Errorf("jauge connect does not say what can be followed: %s", r)
	}
	if platform != "pinterest" {
		proofKey(t, app)
	}
	if app.authorisedCalls() == 0 {
		t.Errorf("exit code 0, and no authorised call was answered: %s", app)
	}

	a := j.account(platform, "alder")
	if a.State != "ok" || a.Cause != "" {
		t.Errorf("state %q, cause %q after connecting; want ok", a.State, a.Cause)
	}
	if a.Account == "" || a.Account == "alder" {
		t.Errorf("account is %q, want the platform's stable id", a.Account)
	}
	if a.Brand == "" {
		t.Error("the account belongs to no brand")
	}
	if since := utc(t, "since", a.Since); since.Before(before.Add(-2*time.Second)) || since.After(time.Now().Add(2*time.Second)) {
		t.Errorf("since is %s, want the time of connecting", a.Since)
	}
}

// proofKey demands that the authorization was made as RFC 7636 and 9700 want it.
func proofKey(t *testing.T, app *client) {
	t.Helper()
	states := map[string]bool{}
	for _, e := range app.events("auth") {
		if e.State == "" { // one of the server's own steps
			continue
		}
		if len(e.State) < 16 || states[e.State] {
			t.Errorf("state %q is short or was used before", e.State)
		}
		states[e.State] = true
		if e.Method != "S256" {
			t.Errorf("code_challenge_method is %q", e.Method)
		}
	}
	auths, tokens := app.events("auth"), app.events("token")
	i := slices.IndexFunc(auths, func(e event) bool { return e.Challenge != "" })
	k := slices.IndexFunc(tokens, func(e event) bool { return e.GrantType == "authorization_code" })
	if i < 0 || k < 0 {
		t.Fatalf("the authorization server saw no authorization with a challenge, or no code: %s", app)
	}
	sum := sha256.Sum256([]byte(tokens[k].Verifier))
	if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != auths[i].Challenge || len(tokens[k].Verifier) < 43 {
		t.Error("the verifier does not prove the challenge, or is too short")
	}
	if tokens[k].RedirectURI != auths[i].RedirectURI {
		t.Errorf("redirect_uri is %q at the token endpoint, and was %q", tokens[k].RedirectURI, auths[i].RedirectURI)
	}
}

func disconnectByTerminal(t *testing.T, j *jauge, app *client, platform string) {
	t.Helper()
	access, refresh := app.newest()
	if !app.active(access) || !app.active(refresh) {
		t.Fatal("the tokens are dead before they are disconnected: the test would show nothing")
	}
	j.must("disconnect", j.account(platform, "alder").Account)
	if app.active(access) || app.active(refresh) {
		t.Errorf("after jauge disconnect the provider still takes the tokens: %s", app)
	}
	for _, a := range j.accounts() {
		if a.Platform == platform && a.State == "ok" {
			t.Errorf("a disconnected account is shown as ok: %+v", a)
		}
	}
	if r := j.run("disconnect", "nobody-knows-this"); r.code == 0 {
		t.Errorf("jauge disconnect of an unknown account: %s", r)
	}
}

// TestConnectRefused: what goes wrong on the way ends the command with 1, a reason that can be understood, and nothing
// stored.
func TestConnectRefused(t *testing.T) {
	app := authorizationServer(t).client(native, object{"code_life": 1})
	other := app.client([]string{"http://127.0.0.1/elsewhere"}, nil)
	for _, c := range []struct {
		name string
		env  []string
		act  func(t *testing.T, s *surfer, k *talk)
		says []string
	}{
		{"consent denied", nil, func(t *testing.T, s *surfer, k *talk) {
			p := s.deny(app.issuer, s.visit(k.address()), "alder")
			explains(t, p, "denied", "declined", "refused", "said no", "cancel")
		}, []string{"denied", "declined", "refused", "cancel"}},
		{"expired code", nil, func(t *testing.T, s *surfer, k *talk) {
			s.stop = callback
			p := s.consent(app.issuer, s.visit(k.address()), "alder")
			pause(t, 2500*time.Millisecond)
			s.stop = nil
			p = s.visit(p.address.String())
			explains(t, p, "expired", "code")
		}, []string{"expired", "code"}},
		{"unknown state", nil, func(t *testing.T, s *surfer, k *talk) {
			s.stop = callback
			p := s.consent(app.issuer, s.visit(k.address()), "alder")
			s.stop = nil
			q := p.address.Query()
			q.Set("state", "forged-"+q.Get("state"))
			p.address.RawQuery = q.Encode()
			explains(t, s.visit(p.address.String()), "state", "begun", "again", "start")
			if err := k.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"no client", []string{"JAUGE_X_CLIENT_ID=", "JAUGE_X_CLIENT_SECRET="}, nil, []string{"JAUGE_X_CLIENT_ID"}},
		{"wrong redirect", []string{"JAUGE_X_CLIENT_ID=" + other.ID, "JAUGE_X_CLIENT_SECRET=" + other.Secret}, func(t *testing.T, s *surfer, k *talk) {
			explains(t, s.visit(k.address()), "redirect_uri")
			if err := k.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := install(t, connectOnly, app.x()...)
			j.set(c.env...)
			k := j.talk("connect", "x", "--all")
			if c.act != nil {
				c.act(t, surf(t), k)
			}
			r := k.wait()
			if r.code == 0 || c.says != nil && !mentions(r.stdout+r.stderr, c.says) {
				t.Errorf("want a failure that mentions one of %q: %s", c.says, r)
			}
			for _, a := range j.accounts() {
				if a.Platform == "x" {
					t.Errorf("an account was stored: %+v", a)
				}
			}
		})
	}
	if n := app.authorisedCalls(); n > 0 {
		t.Errorf("%d authorised calls, want none", n)
	}
}

func mentions(text string, words []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, strings.ToLower(w)) })
}

// explains demands a page that says what happened, in words, and not as a success.
func explains(t *testing.T, p *sheet, words ...string) {
	t.Helper()
	if p.status < 400 || p.status > 599 {
		t.Errorf("%s: HTTP %d, want a failure's status", p.address.Path, p.status)
	}
	if !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") || len(p.text()) < 20 {
		t.Errorf("%s: no page for people: %s %q", p.address.Path, p.header.Get("Content-Type"), p.text())
	}
	t.Logf("HTTP %d: %s", p.status, tail(p.text(), 600))
	if !mentions(p.text(), words) {
		t.Errorf("%s mentions none of %q: %s", p.address.Path, words, p.text())
	}
}

// pause lets time pass that a real server needs: a code that expires.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
