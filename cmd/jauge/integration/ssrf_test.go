//go:build integration

package integration_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// nowhere makes the program give up soon: what it is led to never answers rightly.
var nowhere = []string{"JAUGE_HTTP_ATTEMPT_TIMEOUT=2s", "JAUGE_HTTP_ATTEMPTS=1", "JAUGE_VAULT_TIMEOUT=5s"}

// open opens the addresses of this machine to whatever steers a request.
const open = "JAUGE_ALLOW_NETS=127.0.0.0/8,::1/128"

// begins runs `jauge connect` with what somebody typed. It never gets as far as printing an address.
func begins(t *testing.T, road string, args []string, env ...string) {
	t.Helper()
	j := install(t, connectOnly, append(nowhere, env...)...)
	r := j.run(append([]string{"connect"}, args...)...)
	if r.code == 0 {
		t.Errorf("%s: connected: %s", road, r)
	}
	t.Logf("%s: %s", road, tail(strings.TrimSpace(r.stderr), 300))
}

// TestTypedInstance: an instance that a user types reaches no machine that only the operator can reach, in whatever
// spelling, by the terminal and by the pages; an operator may open a network.
func TestTypedInstance(t *testing.T) {
	far, near := trapAt(t, "127.0.0.9"), trapAt(t, "127.0.0.1")
	_, port, err := net.SplitHostPort(near.addr)
	if err != nil {
		t.Fatal(err)
	}
	typed := []string{
		"http://" + far.addr, "https://" + far.addr, far.addr, "http://" + near.addr, "https://" + near.addr, "localhost:" + port,
		"https://localhost:" + port, "2130706433:" + port, "0x7f.0.0.1:" + port, "127.1:" + port, "0177.0.0.1:" + port, "0.0.0.0:" + port,
		"[::ffff:127.0.0.1]:" + port, "https://[::ffff:7f00:1]:" + port, "https://user:pw@" + near.addr, "https://mastodon.example@" + near.addr,
		near.addr + "/..//", "https://" + near.addr + "#", "LOCALHOST:" + port, "localhost.:" + port,
	}
	j := install(t, connectOnly, nowhere...)
	d := j.start()
	d.ready()
	s := surf(t)
	s.stop = func(u *url.URL) bool { return u.Host != d.addr }
	for _, instance := range typed {
		begins(t, "--instance "+instance, []string{"mastodon", "--instance", instance, "--all"})
		p := s.visit("http://" + d.addr + "/connect/mastodon")
		p = s.submit(p, s.form(p, "/connect/mastodon"), url.Values{"input": {instance}})
		if p.status == 0 || p.status < 400 {
			t.Errorf("typed %q: HTTP %d at %s", instance, p.status, p.address)
		}
		near.untouched(t, "typed "+instance)
		far.untouched(t, "typed "+instance)
	}
	d.stop()
	begins(t, "opened", []string{"mastodon", "--instance", "https://" + far.addr, "--all"}, open)
	far.reached(t, "--instance https://"+far.addr)
}

// lies is a server that an operator has named, and that tries to lead the program elsewhere.
func lies(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, self string)) string {
	t.Helper()
	var self string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, self) }))
	t.Cleanup(s.Close)
	self = s.URL
	return self
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client went away: nothing to do
}

// TestServersThatLead: redirects, metadata, DID documents and Link headers lead to no machine that only the operator can
// reach.
func TestServersThatLead(t *testing.T) {
	far := trapAt(t, "127.0.0.9")
	trap := "http://" + far.addr
	instance := []string{"mastodon", "--instance", "https://mastodon.example", "--all"}
	account := []string{"bluesky", "--handle", "victim.example", "--all"}
	const did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
	document := func(pds string) any {
		return object{"id": did, "alsoKnownAs": []string{"at://victim.example"}, "service": []object{{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds}}}
	}
	resolves := func(to string) string {
		return lies(t, func(w http.ResponseWriter, _ *http.Request, _ string) { reply(w, object{"did": to}) })
	}
	bluesky := func(pds string) []string {
		return []string{"JAUGE_BLUESKY_BASE_URL=" + resolves(did), "JAUGE_BLUESKY_PLC_URL=" + lies(t, func(w http.ResponseWriter, _ *http.Request, _ string) { reply(w, document(pds)) })}
	}
	redirects := lies(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		http.Redirect(w, r, trap+r.URL.Path, http.StatusTemporaryRedirect)
	})
	metadata := lies(t, func(w http.ResponseWriter, r *http.Request, self string) {
		switch r.URL.Path {
		case "/.well-known/oauth-authorization-server":
			reply(w, object{
				"issuer": self, "authorization_endpoint": trap + "/oauth/authorize", "token_endpoint": trap + "/oauth/token", "revocation_endpoint": trap + "/oauth/revoke",
				"app_registration_endpoint": trap + "/api/v1/apps", "pushed_authorization_request_endpoint": trap + "/par", "require_pushed_authorization_requests": true,
				"scopes_supported": []string{"atproto", "read"}, "code_challenge_methods_supported": []string{"S256"}, "dpop_signing_alg_values_supported": []string{"ES256"},
				"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "authorization_response_iss_parameter_supported": true,
				"client_id_metadata_document_supported": true, "response_types_supported": []string{"code"}, "grant_types_supported": []string{"authorization_code", "refresh_token"},
			})
		case "/.well-known/oauth-protected-resource":
			reply(w, object{"resource": self, "authorization_servers": []string{trap}})
		default:
			http.NotFound(w, r)
		}
	})
	for _, c := range []struct {
		road string
		args []string
		env  []string
		open bool // the road leads there where the network is open
	}{
		{"redirect of an instance", instance, []string{"JAUGE_MASTODON_BASE_URL=" + redirects}, false},
		{"metadata of an instance", instance, []string{"JAUGE_MASTODON_BASE_URL=" + metadata}, false},
		{"DID document", account, bluesky(trap), true},
		{"DID document, https", account, bluesky("https://" + far.addr), true},
		{"DID of the web", account, []string{"JAUGE_BLUESKY_BASE_URL=" + resolves("did:web:"+strings.ReplaceAll(far.addr, ":", "%3A"))}, false},
		{"redirect of the directory", account, []string{"JAUGE_BLUESKY_BASE_URL=" + resolves(did), "JAUGE_BLUESKY_PLC_URL=" + redirects}, false},
		// The account's own server may be called, the authorization server that it names may not.
		{"authorization server of a PDS", account, append(bluesky(metadata), "JAUGE_ALLOW_NETS=127.0.0.1/32"), false},
	} {
		begins(t, c.road, c.args, c.env...)
		far.untouched(t, c.road)
		if c.open {
			begins(t, c.road+", opened", c.args, append(c.env, open)...)
			far.reached(t, c.road)
		}
	}
}

// TestMetadataThatLeads: an instance that says of itself that codes are traded elsewhere is not believed as far as to
// this machine.
func TestMetadataThatLeads(t *testing.T) {
	far := trapAt(t, "127.0.0.9")
	trap := "http://" + far.addr
	registered := 0
	self := lies(t, func(w http.ResponseWriter, r *http.Request, self string) {
		switch r.URL.Path {
		case "/.well-known/oauth-authorization-server":
			reply(w, object{
				"issuer": self + "/", "authorization_endpoint": self + "/oauth/authorize", "token_endpoint": trap + "/oauth/token",
				"revocation_endpoint": trap + "/oauth/revoke", "app_registration_endpoint": self + "/api/v1/apps", "scopes_supported": []string{"read", "profile"},
				"code_challenge_methods_supported": []string{"S256"}, "response_types_supported": []string{"code"}, "grant_types_supported": []string{"authorization_code"},
			})
		case "/api/v1/apps":
			registered++
			reply(w, object{"id": "1", "client_id": "client", "client_secret": "secret-of-client"})
		default:
			http.NotFound(w, r)
		}
	})
	j := install(t, connectOnly, append(nowhere, "JAUGE_MASTODON_BASE_URL="+self)...)
	k := j.talk("connect", "mastodon", "--instance", "https://mastodon.example", "--all")
	at, err := url.Parse(k.address())
	if err != nil {
		t.Fatal(err)
	}
	back := at.Query().Get("redirect_uri") + "?" + url.Values{"code": {"code"}, "state": {at.Query().Get("state")}}.Encode()
	if p := surf(t).visit(back); p.status < 400 {
		t.Errorf("the callback: HTTP %d %s", p.status, p.text())
	}
	if r := k.wait(); r.code == 0 || registered == 0 {
		t.Errorf("%d registrations, then %s", registered, r)
	} else {
		t.Log(tail(r.stderr, 300))
	}
	far.untouched(t, "token endpoint of an instance's metadata")
}

// TestLinksOfCollectors: pages that a platform's Link header or redirect names are not fetched from where only the
// operator can reach.
func TestLinksOfCollectors(t *testing.T) {
	i := found(t, 71)
	i.live(60, i.tracked()...)
	for range 45 { // more than a page
		i.write(i.alder, "text", nil)
	}
	i.settle(t)
	far := trapAt(t, "127.0.0.9")
	links := 0
	way := tapped(t, i.url, func(r *http.Response) error {
		if link := r.Header.Get("Link"); strings.Contains(link, `rel="next"`) {
			links++
			r.Header.Set("Link", fmt.Sprintf(`<http://%s%s?max_id=1>; rel="next"`, far.addr, r.Request.URL.Path))
		}
		return nil
	})
	j := install(t, i.config(), append(nowhere, "JAUGE_MASTODON_BASE_URL="+way.URL)...)
	j.run("collect", "--once")
	if links == 0 {
		t.Errorf("no answer had a Link header: the test shows nothing\n%s", way)
	}
	far.untouched(t, "Link header of an instance")

	away := lies(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		http.Redirect(w, r, "http://"+far.addr+r.URL.Path, http.StatusFound)
	})
	for _, env := range []string{"JAUGE_MASTODON_BASE_URL=", "JAUGE_BLUESKY_BASE_URL="} {
		j := install(t, i.config(), append(nowhere, env+away)...)
		if strings.Contains(env, "BLUESKY") {
			j.configure("brands:\n  - name: acme\n    accounts: [{platform: bluesky, handle: victim.example}]\n")
		}
		if r := j.run("collect", "--once"); r.code != 1 {
			t.Errorf("%s: exit code %d, want 1: %s", env, r.code, r)
		}
		far.untouched(t, "redirect of "+env)
	}
}
