package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

func kindOf(err error) oauth.FlowKind {
	if f, ok := errors.AsType[*oauth.FlowError](err); ok {
		return f.Kind
	}
	return ""
}

func TestConnectFollowReadDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		if g.State != oauth.StateOK || g.Holder.ID != "ann" || !g.Chosen || len(g.Follows) != 1 || g.Follows[0].Brand != "brand" {
			t.Fatalf("grant = %+v", g)
		}
		for _, a := range []jauge.Account{
			{Platform: "plume", ID: "p1"}, {Platform: "plume", Handle: "@ONE.example"}, {Platform: "plume", ID: "unknown", Handle: "one.EXAMPLE"},
		} {
			hc, id, err := r.v.Client(a)
			if err != nil || id != g.ID {
				t.Fatalf("Client(%v) = %q, %v", a, id, err)
			}
			if status, err := get(t.Context(), hc, "https://api.plume.test/figures"); status != 200 || err != nil {
				t.Errorf("get = %d, %v", status, err)
			}
		}
		if hc, id, err := r.v.Client(jauge.Account{Platform: "plume", ID: "p2"}); err != nil || id != "" || hc == nil {
			t.Errorf("account without a grant: %v %q %v", hc, id, err)
		}
		if left := r.store.keys("state/"); len(left) != 0 {
			t.Errorf("authorizations left: %v", left)
		}
		revoked, err := r.v.Disconnect(t.Context(), g.ID)
		if err != nil || !revoked || r.a.got().revokes != 1 {
			t.Errorf("disconnect: %v, %v, %d revocations", revoked, err, r.a.got().revokes)
		}
		if left := r.store.keys("grant/"); len(left) != 0 {
			t.Errorf("grants left: %v", left)
		}
		if diff := cmp.Diff([]string{"ok>revoked/disconnected"}, r.told()); diff != "" {
			t.Error(diff)
		}
		if _, id, err := r.v.Client(jauge.Account{Platform: "plume", ID: "p1"}); id != "" || err != nil {
			t.Errorf("after disconnect: %q, %v", id, err)
		}
		noSecrets(t, "the log", r.log.String())
	})
}

func TestDisconnectWorksWhenTheProviderIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		g := r.connect("ann")
		r.d.down = true
		revoked, err := r.v.Disconnect(t.Context(), g.ID)
		if revoked || err != nil {
			t.Errorf("disconnect: %v, %v", revoked, err)
		}
		if left := r.store.keys("grant/"); len(left) != 0 {
			t.Errorf("grants left: %v", left)
		}
		noSecrets(t, "the log", r.log.String())
	})
}

func TestReconnectKeepsWhatIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		first := r.connect("ann")
		if err := r.v.Pause(t.Context(), "plume", "p1", true); err != nil {
			t.Fatal(err)
		}
		old := r.v.Peek(first.ID)
		time.Sleep(time.Hour)
		g, _, err := r.v.Complete(t.Context(), url.Values{"state": {r.begin("b")}, "code": {r.a.code("ann")}}, "b")
		if err != nil {
			t.Fatal(err)
		}
		if g.ID != first.ID || !g.Chosen || len(g.Follows) != 1 || g.Follows[0].Brand != "brand" || !g.Follows[0].Paused {
			t.Errorf("grant = %+v", g)
		}
		if now := r.v.Peek(g.ID); now.Access == old.Access || !g.Connected.After(first.Connected) {
			t.Error("the token was not replaced")
		}
		if keys := r.store.keys("grant/"); len(keys) != 1 {
			t.Errorf("grants: %v", keys)
		}
		other, _, err := r.v.Complete(t.Context(), url.Values{"state": {r.begin("b")}, "code": {r.a.code("bob")}}, "b")
		if err != nil || other.ID == first.ID || other.Chosen {
			t.Errorf("another login: %+v, %v", other, err)
		}
	})
}

func TestCallbacksThatLeadNowhere(t *testing.T) {
	cases := map[string]struct {
		prepare  func(r *rig)
		callback func(r *rig, state string) url.Values
		browser  string
		want     oauth.FlowKind
		again    oauth.FlowKind // the same callback from the right browser afterwards; empty: it succeeds
	}{
		"never issued": {
			callback: func(r *rig, _ string) url.Values { return url.Values{"state": {"x"}, "code": {r.a.code("ann")}} },
			want:     oauth.FlowUnknownState, again: oauth.FlowUnknownState,
		},
		"no state": {
			callback: func(r *rig, _ string) url.Values { return url.Values{"code": {r.a.code("ann")}} },
			want:     oauth.FlowUnknownState, again: oauth.FlowUnknownState,
		},
		"two states": {
			callback: func(r *rig, s string) url.Values { return url.Values{"state": {s, "y"}, "code": {r.a.code("ann")}} },
			want:     oauth.FlowUnknownState, again: oauth.FlowUnknownState,
		},
		"another browser": {
			callback: func(r *rig, s string) url.Values { return url.Values{"state": {s}, "code": {r.a.code("ann")}} },
			browser:  "other", want: oauth.FlowOtherBrowser,
		},
		"denied": {
			callback: func(_ *rig, s string) url.Values { return url.Values{"state": {s}, "error": {"access_denied"}} },
			want:     oauth.FlowDenied, again: oauth.FlowUnknownState,
		},
		"error with a code": {
			callback: func(r *rig, s string) url.Values {
				return url.Values{"state": {s}, "error": {"server_error"}, "code": {r.a.code("ann")}}
			},
			want: oauth.FlowProvider, again: oauth.FlowUnknownState,
		},
		"wrong issuer": {
			callback: func(r *rig, s string) url.Values {
				return url.Values{"state": {s}, "code": {r.a.code("ann")}, "iss": {"https://evil.test"}}
			},
			want: oauth.FlowWrongIssuer, again: oauth.FlowUnknownState,
		},
		"expired code": {
			callback: func(_ *rig, s string) url.Values { return url.Values{"state": {s}, "code": {"tok-code-old"}} },
			want:     oauth.FlowBadCode, again: oauth.FlowUnknownState,
		},
		"provider down": {
			prepare:  func(r *rig) { r.d.down = true },
			callback: func(r *rig, s string) url.Values { return url.Values{"state": {s}, "code": {r.a.code("ann")}} },
			want:     oauth.FlowNetwork, again: oauth.FlowUnknownState,
		},
		"wrong account": {
			prepare:  func(r *rig) { r.d.expect = "carl" },
			callback: func(r *rig, s string) url.Values { return url.Values{"state": {s}, "code": {r.a.code("ann")}} },
			want:     oauth.FlowWrongAccount, again: oauth.FlowUnknownState,
		},
		"too late": {
			callback: func(r *rig, s string) url.Values {
				time.Sleep(10 * time.Minute)
				return url.Values{"state": {s}, "code": {r.a.code("ann")}}
			},
			want: oauth.FlowExpiredState, again: oauth.FlowUnknownState,
		},
		"nothing works": {
			prepare: func(r *rig) {
				r.p.Refused = func(int, http.Header, []byte) oauth.Cause { return oauth.CauseScope }
				r.a.serve(func(req *http.Request, _ string) *http.Response { return answer(req, 403, `{}`) })
			},
			callback: func(r *rig, s string) url.Values { return url.Values{"state": {s}, "code": {r.a.code("ann")}} },
			want:     oauth.FlowScope, again: oauth.FlowUnknownState,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newAuthority())
				if c.prepare != nil {
					c.prepare(r)
				}
				callback := c.callback(r, r.begin("b"))
				browser := "b"
				if c.browser != "" {
					browser = c.browser
				}
				_, _, err := r.v.Complete(t.Context(), callback, browser)
				if err == nil || kindOf(err) != c.want {
					t.Errorf("first: %v, want %s", err, c.want)
				}
				noSecrets(t, "the error", err.Error())
				_, _, err = r.v.Complete(t.Context(), callback, "b")
				if kindOf(err) != c.again {
					t.Errorf("again: %v, want %q", err, c.again)
				}
				if c.again != "" && len(r.store.keys("grant/")) != 0 {
					t.Error("there is a grant")
				}
				noSecrets(t, "the log", r.log.String())
			})
		})
	}
}

func TestBeginThatLeadsNowhere(t *testing.T) {
	r := newRig(t, newStore(), newAuthority())
	r.p.Ask = oauth.AskHandle
	for input, want := range map[string]oauth.FlowKind{"": oauth.FlowBadInput, "nobody": oauth.FlowBadInput} {
		_, err := r.v.Begin(t.Context(), oauth.BeginRequest{Provider: "plume", Input: input})
		if kindOf(err) != want {
			t.Errorf("input %q: %v, want %s", input, err, want)
		}
	}
	r = newRig(t, newStore(), newAuthority(), func(_ *rig, _ *oauth.Config, d *oauth.Deps) { d.Apps = nil })
	_, err := r.v.Begin(t.Context(), oauth.BeginRequest{Provider: "plume"})
	if kindOf(err) != oauth.FlowNotConfigured || !strings.Contains(err.Error(), "JAUGE_PLUME_CLIENT_ID") {
		t.Errorf("without client: %v", err)
	}
}

// One state, many callbacks at once, over several replicas and a store that does not answer: one of them wins at most.
func TestStateIsUsedOnce(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			s, a := newStore(), newAuthority()
			rigs := []*rig{newRig(t, s, a), newRig(t, s, a), newRig(t, s, a)}
			state := rigs[0].begin("b")
			for i, r := range rigs {
				r.store.rnd.Uint64()
				r.store.unknown, r.store.stale = 0.4, 0.2
				_ = i
			}
			rigs[0].store.rnd = faulty(s, seed).rnd
			var wg sync.WaitGroup
			var mu sync.Mutex
			won, codes := 0, 0
			for i := range 12 {
				code := a.code("ann")
				wg.Go(func() {
					_, _, err := rigs[i%3].v.Complete(t.Context(), url.Values{"state": {state}, "code": {code}}, "b")
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won++
					}
				})
			}
			wg.Wait()
			a.mu.Lock()
			codes = len(a.codes)
			a.mu.Unlock()
			if won > 1 || codes < 11 {
				t.Errorf("seed %d: %d callbacks won, %d codes spent", seed, won, 12-codes)
			}
		})
	}
}

func TestScopesThatWereNotGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.scopes = []string{"read"}
		r := newRig(t, newStore(), a)
		g, _, err := r.v.Complete(t.Context(), url.Values{"state": {r.begin("b")}, "code": {a.code("ann")}}, "b")
		if err != nil || g.State != oauth.StateScope || g.Cause != oauth.CauseScope {
			t.Fatalf("grant = %+v, %v", g, err)
		}
		if _, err := r.v.Follow(t.Context(), g.ID, []string{"plume/p1"}, ""); err != nil {
			t.Fatal(err)
		}
		_, _, err = r.v.Client(jauge.Account{Platform: "plume", ID: "p1"})
		if jauge.ReasonOf(err) != jauge.ReasonScope || !strings.Contains(err.Error(), "agree to everything") {
			t.Errorf("client: %v", err)
		}
		a.scopes = []string{"insights", "read"}
		g, _, err = r.v.Complete(t.Context(), url.Values{"state": {r.begin("b")}, "code": {a.code("ann")}}, "b")
		if err != nil || g.State != oauth.StateOK {
			t.Errorf("after everything was granted: %+v, %v", g, err)
		}
	})
}

// The daemon dies between exchange and listing: the token is there, and another one makes a grant of it.
func TestPendingGrantIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a := newStore(), newAuthority()
		dying := newRig(t, s, a)
		state := dying.begin("b")
		a.serve(func(req *http.Request, _ string) *http.Response {
			dying.store.kill()
			return answer(req, 502, `{}`)
		})
		_, _, err := dying.v.Complete(t.Context(), url.Values{"state": {state}, "code": {a.code("ann")}}, "b")
		if err == nil {
			t.Fatal("it lived")
		}
		a.serve(nil)
		r := newRig(t, s, a)
		if all, err := r.v.Grants(t.Context()); len(all) != 0 || err != nil {
			t.Errorf("a pending grant is shown: %v, %v", all, err)
		}
		r.run()
		time.Sleep(2 * time.Minute)
		if g := r.grant(); g.Holder.ID != "ann" || g.State != oauth.StateOK {
			t.Errorf("grant = %+v", g)
		}
	})
}

func TestStaticToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		r := newRig(t, newStore(), a)
		tok, err := a.exchange(a.code("ann"))
		if err != nil {
			t.Fatal(err)
		}
		a.mu.Lock()
		a.ends = map[string]time.Time{}
		a.mu.Unlock()
		g, subjects, err := r.v.Static(t.Context(), "plume", "", tok.Access)
		if err != nil || len(subjects) != 2 || !g.ExpiresAt.IsZero() || g.State != oauth.StateOK {
			t.Fatalf("%+v, %v, %v", g, subjects, err)
		}
		if _, _, err := r.v.Static(t.Context(), "plume", "", "tok-wrong"); kindOf(err) != oauth.FlowProvider {
			t.Errorf("wrong token: %v", err)
		}
		if keys := r.store.keys("grant/"); len(keys) != 1 {
			t.Errorf("grants: %v", keys)
		}
		if revoked, err := r.v.Disconnect(t.Context(), g.ID); revoked || err != nil || a.got().revokes != 0 {
			t.Errorf("disconnect: %v, %v, %d", revoked, err, a.got().revokes)
		}
	})
}

func TestFollowMovesAnAccountBetweenGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		ann, bob := r.connect("ann"), r.connect("bob")
		all, err := r.v.Grants(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range all {
			if want := map[string]int{ann.ID: 0, bob.ID: 1}[g.ID]; len(g.Follows) != want {
				t.Errorf("%s follows %d, want %d", g.Holder.ID, len(g.Follows), want)
			}
		}
		if _, err := r.v.Follow(t.Context(), bob.ID, []string{"plume/nope"}, ""); jauge.ReasonOf(err) != jauge.ReasonNotFound {
			t.Errorf("follow what is not there: %v", err)
		}
		if err := r.v.Unfollow(t.Context(), "plume", "p1"); err != nil {
			t.Fatal(err)
		}
		if err := r.v.Unfollow(t.Context(), "plume", "p1"); jauge.ReasonOf(err) != jauge.ReasonNotFound {
			t.Errorf("unfollow again: %v", err)
		}
		if _, id, _ := r.v.Client(jauge.Account{Platform: "plume", ID: "p1"}); id != "" {
			t.Error("it is followed still")
		}
	})
}

func TestPausedAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.connect("ann")
		hc, _, err := r.v.Client(jauge.Account{Platform: "plume", ID: "p1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.v.Pause(t.Context(), "plume", "p1", true); err != nil {
			t.Fatal(err)
		}
		if _, err := r.get("p1"); !errors.Is(err, jauge.ErrPaused) || jauge.ReasonOf(err) != jauge.ReasonAuth {
			t.Errorf("paused: %v", err)
		}
		if _, err := get(t.Context(), hc, "https://api.plume.test/figures"); !errors.Is(err, jauge.ErrPaused) {
			t.Errorf("a client from before: %v", err)
		}
		if err := r.v.Pause(t.Context(), "plume", "p1", false); err != nil {
			t.Fatal(err)
		}
		if status, err := r.get("p1"); status != 200 || err != nil {
			t.Errorf("resumed: %d, %v", status, err)
		}
	})
}

func TestStatesArePruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newAuthority())
		r.begin("b")
		r.run()
		time.Sleep(9 * time.Minute)
		if n := len(r.store.keys("state/")); n != 1 {
			t.Errorf("%d authorizations before their time", n)
		}
		time.Sleep(20 * time.Minute)
		if n := len(r.store.keys("state/")); n != 0 {
			t.Errorf("%d authorizations after their time", n)
		}
	})
}

func TestClosedVaultRefuses(t *testing.T) {
	r := newRig(t, newStore(), newAuthority())
	r.v.Close()
	r.v.Close()
	if _, err := r.v.Begin(context.Background(), oauth.BeginRequest{Provider: "plume"}); err == nil {
		t.Error("a closed vault begins an authorization")
	}
	if err := r.v.Run(context.Background()); err == nil {
		t.Error("a closed vault runs")
	}
}
