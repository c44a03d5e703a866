package oauth_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// proving signs with a proof that bears the server's last nonce, as DPoP does.
type proving struct{ *plumage }

func (d *proving) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	c.Server.Key = []byte("tok-key")
	return d.plumage.Exchange(ctx, c, s, callback)
}

func (d *proving) Sign(c *oauth.Call, req *http.Request, t *oauth.Token) error {
	req.Header.Set("DPoP", "proof with "+c.Server.Nonces[req.URL.Scheme+"://"+req.URL.Host])
	return d.plumage.Sign(c, req, t)
}

// An API that wants another nonce in the proof says so by a 401 (RFC 9449 section 9): the request is signed anew and sent
// once more, whole, and the grant has nothing to do with it.
func TestProofIsSignedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		r := newRig(t, newStore(), a, func(r *rig, _ *oauth.Config, d *oauth.Deps) { r.p.Dialect = &proving{r.d} })
		want, sent := "nonce-1", []string{}
		stubborn := false
		a.serve(func(req *http.Request, _ string) *http.Response {
			if strings.HasSuffix(req.URL.Path, "figures") {
				sent = append(sent, req.Header.Get("DPoP"))
			}
			if req.Header.Get("DPoP") == "proof with "+want && !stubborn {
				return nil
			}
			resp := answer(req, 401, `{}`)
			resp.Header.Set("DPoP-Nonce", want)
			resp.Header.Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			return resp
		})
		r.connect("ann")
		want = "nonce-2"
		for range 2 {
			if status, err := r.get("p1"); status != 200 || err != nil {
				t.Fatalf("get = %d, %v", status, err)
			}
		}
		if diff := cmp.Diff([]string{"proof with nonce-1", "proof with nonce-2", "proof with nonce-2"}, sent); diff != "" {
			t.Error(diff)
		}
		time.Sleep(10 * time.Minute)
		sent, stubborn = nil, true // never content, with the same nonce: it is not asked for ever
		if status, err := r.get("p1"); status != 401 || err != nil {
			t.Errorf("get = %d, %v", status, err)
		}
		if len(sent) > 3 {
			t.Errorf("sent %d times", len(sent))
		}
	})
}

// A body that can be sent again is, whole; one that cannot is sent once, and its caller has the answer.
func TestBodyOfARepeatedRequest(t *testing.T) {
	for name, again := range map[string]bool{"can be sent again": true, "cannot": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newAuthority())
				g := r.connect("ann")
				time.Sleep(time.Hour)
				r.a.dropAccess(r.v.Peek(g.ID).Access)
				var got []string
				wire := roundTrip(func(req *http.Request) (*http.Response, error) {
					b, err := io.ReadAll(req.Body)
					if err != nil {
						return nil, err
					}
					got = append(got, string(b))
					req.Body = http.NoBody
					return r.a.RoundTrip(req)
				})
				r.api.Transport = wire
				hc, _, err := r.v.Client(account("p1"))
				if err != nil {
					t.Fatal(err)
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.plume.test/figures", strings.NewReader("question"))
				if err != nil {
					t.Fatal(err)
				}
				want, status := []string{"question", "question"}, 200
				if !again {
					req.GetBody = nil
					want, status = []string{"question"}, 401
				}
				resp, err := hc.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if diff := cmp.Diff(want, got); diff != "" || resp.StatusCode != status {
					t.Errorf("status %d, bodies %s", resp.StatusCode, diff)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A page has a token of its own: it is read by that one, by a newer one as soon as a listing brings it, and its refusal
// makes no renewal of the login's.
func TestPageIsReadByItsOwnToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		r := newRig(t, newStore(), a)
		page, err := a.exchange(a.code("page"))
		if err != nil {
			t.Fatal(err)
		}
		newer, err := a.exchange(a.code("page"))
		if err != nil {
			t.Fatal(err)
		}
		a.subjects[0].Token = page.Access
		var used []string
		a.serve(func(req *http.Request, _ string) *http.Response {
			if strings.HasSuffix(req.URL.Path, "figures") {
				used = append(used, bearer(req))
			}
			return nil
		})
		g := r.connect("ann")
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		a.dropAccess(page.Access.Reveal())
		a.mu.Lock()
		a.subjects[0].Token = newer.Access
		a.mu.Unlock()
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Fatalf("get = %d, %v", status, err)
		}
		want := []string{page.Access.Reveal(), page.Access.Reveal(), newer.Access.Reveal()}
		if diff := cmp.Diff(want, used); diff != "" {
			t.Error(diff)
		}
		time.Sleep(10 * time.Minute)
		a.dropAccess(newer.Access.Reveal()) // and no other one is to be had
		for range 5 {
			if status, err := r.get("p1"); status != 401 || err != nil {
				t.Fatalf("get = %d, %v", status, err)
			}
		}
		if now := r.grant(); now.State != oauth.StateOK || a.got().renewed != 0 {
			t.Errorf("%s (%s), renewed %d times", now.State, now.Cause, a.got().renewed)
		}
		list, err := r.v.Subjects(t.Context(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Token != jauge.Secret("") {
				t.Errorf("%s is shown with its token", s.ID)
			}
		}
		noSecrets(t, "the log", r.log.String())
	})
}
