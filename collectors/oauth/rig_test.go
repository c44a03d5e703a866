package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

const testKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// plumage is how one vault speaks with the authority; hooks make it fail.
type plumage struct {
	a      *authority
	mu     sync.Mutex
	renew  func(ctx context.Context, old *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error)
	expect string
	down   bool
	slow   time.Duration // of a revocation
}

func (d *plumage) Begin(_ context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	if input == "nobody" {
		return &jauge.Error{Reason: jauge.ReasonNotFound, Err: errors.New("nobody has that name")}
	}
	s.Expect = d.expect
	c.Server.Issuer = "https://issuer.test"
	s.URL = c.Provider.Endpoints.Authorize + "?" + url.Values{"state": {s.State}}.Encode()
	return nil
}

func (d *plumage) Exchange(_ context.Context, _ *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	if d.down {
		return nil, fmt.Errorf("connection with %s was reset", s.Verifier.Reveal())
	}
	return d.a.exchange(callback.Get("code"))
}

func (d *plumage) Renew(ctx context.Context, _ *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	send := func() (*oauth.Token, error) { return d.a.refresh(old.Refresh.Reveal()) }
	d.mu.Lock()
	renew := d.renew
	d.mu.Unlock()
	if renew != nil {
		return renew(ctx, old, send)
	}
	return send()
}

type renewFunc = func(ctx context.Context, old *oauth.Token, send func() (*oauth.Token, error)) (*oauth.Token, error)

// via sends renewals another way; nil: straight to the authority.
func (d *plumage) via(f renewFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.renew = f
}

func (d *plumage) Revoke(_ context.Context, _ *oauth.Call, t *oauth.Token) error {
	if d.down {
		return &url.Error{Op: "Post", URL: "https://plume.test/revoke?token=" + t.Access.Reveal(), Err: errors.New("no route")}
	}
	time.Sleep(d.slow)
	d.a.mu.Lock()
	defer d.a.mu.Unlock()
	d.a.revokes++
	if f := d.a.access[t.Access.Reveal()]; f != nil {
		f.dead = true
	}
	return nil
}

func (d *plumage) Sign(_ *oauth.Call, req *http.Request, t *oauth.Token) error {
	req.Header.Set("Authorization", "Bearer "+t.Access.Reveal())
	return nil
}

// provider is the authority as data.
func (a *authority) provider(d oauth.Dialect) *oauth.Provider {
	return &oauth.Provider{
		Name: "plume", Title: "Plume", App: "PLUME", Platforms: []jauge.Platform{"plume"}, NeedsApp: true,
		Endpoints: oauth.Endpoints{
			Authorize: "https://plume.test/authorize", Token: "https://plume.test/token", Revoke: "https://plume.test/revoke",
		},
		Scopes:  []string{"read", "insights"},
		Renewal: oauth.Renewal{Model: oauth.Rotating, Share: 0.2},
		Dead:    map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		Dialect: d,
		List: func(ctx context.Context, c *oauth.Call, _ *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
			var me struct{ Login string }
			if err := oauth.GetJSON(ctx, c, "read login", "https://api.plume.test/me", nil, &me); err != nil {
				return oauth.Holder{}, nil, err
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			return oauth.Holder{ID: me.Login, Handle: "@" + me.Login}, append([]oauth.Subject(nil), a.subjects...), nil
		},
	}
}

// rig is one vault with its surroundings.
type rig struct {
	tb      testing.TB
	v       *oauth.Vault
	a       *authority
	d       *plumage
	api     *http.Client // of collectors
	p       *oauth.Provider
	store   *faultyStore
	log     *logBook
	mu      sync.Mutex
	changes []oauth.Change
	reg     *prometheus.Registry
}

// logBook keeps what is logged.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func config() oauth.Config {
	return oauth.Config{
		Key: testKey, StateLife: 10 * time.Minute, Timeout: 30 * time.Second, Every: 15 * time.Second, Warn: 14 * 24 * time.Hour,
	}
}

type option func(*rig, *oauth.Config, *oauth.Deps)

// newRig makes a vault over a store and an authority, and opens it.
func newRig(tb testing.TB, s *memStore, a *authority, opts ...option) *rig {
	tb.Helper()
	r := makeRig(tb, s, a, opts...)
	if err := r.v.Open(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.v.Close)
	return r
}

func makeRig(tb testing.TB, s *memStore, a *authority, opts ...option) *rig {
	tb.Helper()
	r := &rig{tb: tb, a: a, d: &plumage{a: a}, store: faulty(s, 1), log: &logBook{}, reg: prometheus.NewRegistry()}
	r.p = a.provider(r.d)
	hc := &http.Client{Transport: a}
	r.api = &http.Client{Transport: a}
	cfg := config()
	deps := oauth.Deps{
		Store: r.store, Providers: []*oauth.Provider{r.p},
		Apps:    map[string]oauth.App{"plume": {ClientID: "us", ClientSecret: "tok-client-secret"}},
		Clients: func(*oauth.Provider) *http.Client { return hc },
		API:     func(jauge.Platform) *http.Client { return r.api },
		OnChange: func(c oauth.Change) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.changes = append(r.changes, c)
		},
		Log:     slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: r.reg,
	}
	for _, o := range opts {
		o(r, &cfg, &deps)
	}
	v, err := oauth.New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	r.v = v
	return r
}

// begin starts an authorization and returns its state.
func (r *rig) begin(browser string) string {
	r.tb.Helper()
	address, err := r.v.Begin(r.tb.Context(), oauth.BeginRequest{
		Provider: "plume", Redirect: "https://us.test/oauth/callback", Browser: browser,
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		r.tb.Fatal(err)
	}
	return u.Query().Get("state")
}

// connect connects a login and follows its first subject.
func (r *rig) connect(login string) oauth.Grant {
	r.tb.Helper()
	g, subjects, err := r.v.Complete(r.tb.Context(), url.Values{"state": {r.begin("b")}, "code": {r.a.code(login)}}, "b")
	if err != nil {
		r.tb.Fatal(err)
	}
	if len(subjects) == 0 {
		r.tb.Fatal("nothing to follow")
	}
	g, err = r.v.Follow(r.tb.Context(), g.ID, []string{subjects[0].Key()}, "brand")
	if err != nil {
		r.tb.Fatal(err)
	}
	return g
}

// run runs the vault until the test ends or stop is called.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.tb.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.v.Run(ctx); err != nil {
			r.tb.Errorf("run: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	r.tb.Cleanup(stop)
	return stop
}

// get asks the API for an account's figures and returns the status.
func (r *rig) get(account string) (int, error) {
	r.tb.Helper()
	hc, _, err := r.v.Client(jauge.Account{Platform: "plume", ID: account})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(r.tb.Context(), time.Minute)
	defer cancel()
	return get(ctx, hc, "https://api.plume.test/figures")
}

func get(ctx context.Context, hc *http.Client, address string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// grant is the one grant.
func (r *rig) grant() oauth.Grant {
	r.tb.Helper()
	all, err := r.v.Grants(r.tb.Context())
	if err != nil {
		r.tb.Fatal(err)
	}
	if len(all) != 1 {
		r.tb.Fatalf("%d grants, want 1", len(all))
	}
	return all[0]
}

// told are the states that were alerted.
func (r *rig) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []string{}
	for _, c := range r.changes {
		s := string(c.Was) + ">" + string(c.Grant.State) + "/" + string(c.Grant.Cause)
		if c.Follow != nil {
			s = string(c.Follow.Platform) + "/" + c.Follow.ID + ":" + string(c.Was) + ">" + string(c.Follow.State)
		}
		out = append(out, s)
	}
	return out
}

// metric reads a series.
func (r *rig) metric(name string, labels ...string) float64 {
	r.tb.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				ok := false
				for _, want := range labels {
					ok = ok || l.GetValue() == want
				}
				if !ok {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	r.tb.Fatalf("no series %s%v", name, labels)
	return 0
}

// noSecrets fails where a text holds a token, a code, a secret.
func noSecrets(tb testing.TB, where, text string) {
	tb.Helper()
	if i := strings.Index(text, "tok-"); i >= 0 {
		tb.Errorf("a secret is in %s: …%s", where, text[max(0, i-80):min(len(text), i+80)])
	}
	if strings.Contains(text, testKey) {
		tb.Errorf("the vault key is in %s", where)
	}
}

func account(id string) jauge.Account { return jauge.Account{Platform: "plume", ID: id} }
