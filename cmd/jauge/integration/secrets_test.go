//go:build integration

package integration_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hoard is every secret that a run used, with what it is.
type hoard map[string]string

func (h hoard) add(what string, values ...string) {
	for _, v := range values {
		if len(v) < 6 {
			continue
		}
		h[v] = what
		h[url.QueryEscape(v)] = what + ", as in an address"
		h[base64.StdEncoding.EncodeToString([]byte(v))] = what + ", in base64"
		h[hex.EncodeToString([]byte(v))] = what + ", in hex"
	}
}

// search looks for every secret in a text.
func (h hoard) search(t *testing.T, where string, text []byte) {
	t.Helper()
	for secret, what := range h {
		if i := bytes.Index(text, []byte(secret)); i >= 0 {
			around := text[max(0, i-60):i]
			t.Errorf("%s holds the %s (%s…), after %q", where, what, secret[:4], around)
		}
	}
}

// everyFile reads every file beneath a directory, databases and journals included.
func everyFile(t *testing.T, dir string, look func(path string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		look(path, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoSecretLeaks runs everything once, with the log at its most talkative, and then looks for every secret that was
// used: in every log, answer, page, metric and file. A stranger who has those learns nothing that opens an account.
func TestNoSecretLeaks(t *testing.T) {
	server := authorizationServer(t)
	i := found(t, 81)
	i.live(20, i.tracked()...)
	i.settle(t)
	way := tapped(t, i.url, nil)
	key := vaultKey()
	j := install(t, connectOnly, "JAUGE_LOG_LEVEL=debug", "JAUGE_VAULT_KEY="+key, "JAUGE_VAULT_EVERY=200ms", "JAUGE_MASTODON_BASE_URL="+way.URL)
	d, public := guarded(t, j)
	app := server.client([]string{public + "/oauth/callback"}, object{"access_life": 6})
	d.stop()
	j.set(app.x()...)
	d = j.listen(strings.Replace(d.addr, "127.0.0.1", "0.0.0.0", 1))
	ops := *d
	ops.addr = j.env["JAUGE_OPS_LISTEN"]
	ops.ready()

	secrets := hoard{}
	secrets.add("client secret", app.Secret)
	secrets.add("password", password)
	secrets.add("vault key", key)
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	secrets[string(raw)] = "vault key, as bytes"

	u, _ := url.Parse(public)
	s := surf(t)
	s.names[u.Host] = "127.0.0.1:" + u.Port()
	said := everything(t, s, j, &ops, app, public)
	mastodonSecrets(t, secrets, s, j, i, way, public)

	access, refresh := app.newest()
	app.fault("drop", nil)
	ops.poll(30*time.Second, "a refresh that is lost", func() (bool, string) { return len(app.events("fault")) > 0, app.String() })
	pause(t, 2*time.Second)
	_, metrics := ops.get("/metrics")
	said = append(said, metrics)
	for _, args := range [][]string{{"accounts"}, {"accounts", "--format", "json"}, {"check"}, {"check", "--live"}, {"collect", "--once"}, {"version"}, {"disconnect", j.account("x", "").Account}} {
		said = append(said, j.run(args...).String())
	}
	d.stop()

	states := map[string]bool{}
	for _, e := range app.events() {
		secrets.add("access token", e.Issued.AccessToken)
		secrets.add("refresh token", e.Issued.RefreshToken, e.RefreshToken)
		secrets.add("authorization code", e.Code)
		secrets.add("code verifier", e.Verifier)
		if e.State != "" {
			states[e.State] = true
			secrets.add("state", e.State)
		}
	}
	if access == "" || refresh == "" || len(states) < 2 || len(app.refreshes()) == 0 {
		t.Fatalf("too little happened for the test to show anything: %s", app)
	}
	for n, text := range said {
		secrets.search(t, fmt.Sprintf("answer %d (%q)", n, tail(strings.SplitN(text, "\n", 2)[0], 60)), []byte(text))
	}
	for _, p := range s.seen {
		if p.address.Host != u.Host {
			continue // the provider's own pages
		}
		body := p.body
		if strings.HasSuffix(p.address.Path, "/go") { // leads to the provider: its address is what the page is for
			continue
		}
		secrets.search(t, "the page "+p.address.Path, []byte(body))
	}
	everyFile(t, j.dir, func(path string, text []byte) { secrets.search(t, path, text) })
	// What is no secret is found by the same search: the name of an account stands in the log and in databases.
	name, in := i.alder.name, 0
	everyFile(t, j.dir, func(_ string, text []byte) {
		if bytes.Contains(text, []byte(name)) {
			in++
		}
	})
	if in < 3 {
		t.Errorf("the name of an account was found in %d files only: what the search reads is not what the program wrote", in)
	}
	t.Logf("%d secrets and their spellings looked for in %d answers and %d pages", len(secrets), len(said), len(s.seen))
}

// everything is a life with the pages: a wrong password, a right one, connecting X, failures, waiting for refreshes.
func everything(t *testing.T, s *surfer, j *jauge, ops *daemon, app *client, public string) (said []string) {
	t.Helper()
	p := s.visit(public + "/login")
	s.submit(p, s.form(p, "/login"), url.Values{"password": {"a wrong one"}})
	p = s.visit(public + "/login?to=/connect")
	s.submit(p, s.form(p, "/login"), url.Values{"password": {password}})
	p = s.visit(public + "/connect/x")
	p = s.consent(app.issuer, s.submit(p, s.form(p, "/connect/x"), nil), "alder")
	choose := s.form(p, "/choose")
	if choose.fields.Get("subject") == "" {
		choose.fields.Set("all", "all")
	}
	if choose.fields.Get("brand") == "" {
		choose.fields.Set("new_brand", "acme")
	}
	if p = s.submit(p, choose, nil); p.status != http.StatusOK {
		t.Fatalf("choose: HTTP %d %s", p.status, p.text())
	}
	// Failures speak too: a replayed callback, a denied consent, a code that is none.
	p = s.visit(public + "/connect/x")
	s.stop = callback
	back := s.consent(app.issuer, s.submit(p, s.form(p, "/connect/x"), nil), "alder").address.String()
	s.stop = nil
	s.visit(back)
	s.visit(back)
	p = s.visit(public + "/connect/x")
	s.stop = func(to *url.URL) bool { return to.Host == app.AuthorizeHost }
	p = s.submit(p, s.form(p, "/connect/x"), nil)
	s.stop = nil
	s.visit(public + "/oauth/callback?" + url.Values{"state": {p.address.Query().Get("state")}, "error": {"access_denied"}}.Encode())
	for _, path := range []string{"/", "/accounts", "/connect", "/metrics", "/oauth/callback?code=x&state=y", "/nowhere"} {
		s.visit(public + path)
	}
	ops.poll(time.Minute, "refreshes", func() (bool, string) { return len(app.refreshes()) > 1, app.String() })
	status, text := ops.get("/readyz")
	return append(said, fmt.Sprint(status, text), j.run("accounts").String())
}

// mastodonSecrets connects an account of the Mastodon server and notes what it gave.
func mastodonSecrets(t *testing.T, secrets hoard, s *surfer, j *jauge, i *instance, way *tap, public string) {
	t.Helper()
	p := s.visit(public + "/connect/mastodon")
	p = s.submit(p, s.form(p, "/connect/mastodon"), url.Values{"input": {i.domain}})
	p = s.submit(p, s.form(p, "/oauth/authorize"), url.Values{"username": {i.alder.name}})
	choose := s.form(p, "/choose")
	choose.fields.Set("all", "all")
	if choose.fields.Get("brand") == "" {
		choose.fields.Set("new_brand", "acme")
	}
	s.submit(p, choose, nil)
	token := strings.TrimPrefix(issued(t, way), "Bearer ")
	secrets.add("Mastodon token", token)
	if a := j.account("mastodon", ""); a.State != "ok" {
		t.Errorf("Mastodon: %+v", a)
	}
}
