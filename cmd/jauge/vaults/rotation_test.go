//go:build integration

// Package vaults_test lets several vaults share a cluster, as replicas of the daemon do, against an authorization server
// that somebody else wrote, with more readers at once than the black-box tests could drive.
//
//	50 readers ──▶ vault ──┐
//	50 readers ──▶ vault ──┼──▶ NATS (sealed grants)      every call with a token ──▶ the server's own API
//	50 readers ──▶ vault ──┘                               every refresh ──▶ its log
package vaults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/providers"
	"jauge.dev/jauge/storage/natskv"
)

const (
	vaults  = 3
	readers = 50              // of each vault
	life    = 20              // seconds that an access token lives
	length  = 2 * time.Minute // of the test
)

// issuer is where the test bed's authorization server is.
type issuer struct{ Authorize, Token, Revoke, Register, API, Log string }

func authorizationServer(t *testing.T) issuer {
	t.Helper()
	name := os.Getenv("JAUGE_TEST_OIDC")
	if name == "" {
		t.Fatal("JAUGE_TEST_OIDC is not set: bring up the servers with `make testbed`, then run `make integration`")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var i issuer
	if err := json.Unmarshal(b, &i); err != nil {
		t.Fatal(err)
	}
	return i
}

// register makes a client of the server.
func (i issuer) register(t *testing.T) oauth.App {
	t.Helper()
	body := fmt.Sprintf(`{"application_type":"native","redirect_uris":["http://127.0.0.1/oauth/callback"],"response_types":["code"],
		"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"client_secret_basic","access_life":%d}`, life)
	res, err := http.Post(i.Register, "application/json", strings.NewReader(body)) //nolint:noctx // a server of the test
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil || c.ID == "" {
		t.Fatalf("register a client: HTTP %d %v", res.StatusCode, err)
	}
	return oauth.App{ClientID: c.ID, ClientSecret: jauge.Secret(c.Secret)}
}

// consent goes through the server's pages as a browser does, and returns the callback's parameters.
func consent(t *testing.T, address string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back url.Values
	hc := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/oauth/callback" {
			back = req.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	action, prompt := regexp.MustCompile(`<form[^>]* action="([^"]+)"`), regexp.MustCompile(`name="prompt" value="(\w+)"`)
	res, err := hc.Get(address) //nolint:noctx // as above
	for range 4 {
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(res.Body) // a page that is cut short has no form
		_ = res.Body.Close()
		if back != nil {
			return back
		}
		to, what := action.FindSubmatch(page), prompt.FindSubmatch(page)
		if to == nil || what == nil {
			t.Fatalf("the server shows no form: HTTP %d %s", res.StatusCode, page)
		}
		res, err = hc.PostForm(string(to[1]), url.Values{"prompt": {string(what[1])}, "login": {"alder"}, "password": {"any"}}) //nolint:noctx // as above
	}
	t.Fatal("the server asks again and again")
	return nil
}

// cluster starts a NATS server and returns its URL.
func cluster(t *testing.T) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 256 << 20, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server did not start in 10 s")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	addr, ok := srv.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the NATS server listens on %v", srv.Addr())
	}
	return "nats://" + addr.String()
}

// open makes a vault of a replica.
func open(t *testing.T, at, key string, i issuer, app oauth.App) *oauth.Vault {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := natskv.New(natskv.Config{URL: jauge.Secret(at)}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, ok := providers.ByName("x")
	if !ok {
		t.Fatal("nobody knows X")
	}
	p.Endpoints = oauth.Endpoints{Authorize: i.Authorize, Token: i.Token, Revoke: i.Revoke}
	p.Base = i.API
	hc := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * readers}}
	v, err := oauth.New(oauth.Config{Key: jauge.Secret(key), StateLife: time.Minute, Timeout: 10 * time.Second, Every: 100 * time.Millisecond}, oauth.Deps{
		Store: store, Providers: []*oauth.Provider{&p}, Apps: map[string]oauth.App{"x": app},
		Clients: func(*oauth.Provider) *http.Client { return hc }, Log: log, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close(); hc.CloseIdleConnections(); store.Close() })
	return v
}

// TestAllAtOnce lets 50 readers of each of three vaults ask in the same instant, again and again, for two minutes of a
// token that lives 20 seconds: every call is answered, each refresh token is sent once, and the server never suspects a
// theft.
func TestAllAtOnce(t *testing.T) {
	i := authorizationServer(t)
	app := i.register(t)
	at, key := cluster(t), oauth.NewKey()
	all := make([]*oauth.Vault, vaults)
	for n := range all {
		all[n] = open(t, at, key, i, app)
	}
	address, err := all[0].Begin(t.Context(), oauth.BeginRequest{Provider: "x", Redirect: "http://127.0.0.1:9/oauth/callback", Browser: "browser"})
	if err != nil {
		t.Fatal(err)
	}
	g, subjects, err := all[1].Complete(t.Context(), consent(t, address), "browser") // another replica than the one that began
	if err != nil || len(subjects) != 1 {
		t.Fatalf("complete: %v, %d subjects", err, len(subjects))
	}
	if _, err := all[2].Follow(t.Context(), g.ID, []string{subjects[0].Key()}, "acme"); err != nil {
		t.Fatal(err)
	}
	account := jauge.Account{Platform: subjects[0].Platform, ID: subjects[0].ID}

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var running sync.WaitGroup
	for _, v := range all {
		running.Go(func() {
			if err := v.Run(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	asked := bursts(t, ctx, all, account, i.API+"/users/me")
	running.Wait()
	judge(t, i, app, asked)
}

// bursts lets everybody ask at once, every half second.
func bursts(t *testing.T, ctx context.Context, all []*oauth.Vault, account jauge.Account, address string) int64 {
	t.Helper()
	var asked atomic.Int64
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return asked.Load()
		case <-tick.C:
		}
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < 5*time.Second {
			return asked.Load() // what is asked for can still be answered
		}
		var burst sync.WaitGroup
		begin := make(chan struct{})
		for _, v := range all {
			for range readers {
				burst.Go(func() {
					<-begin
					if err := ask(ctx, v, account, address); err != nil {
						t.Error(err)
					}
					asked.Add(1)
				})
			}
		}
		close(begin)
		burst.Wait()
	}
}

func ask(ctx context.Context, v *oauth.Vault, account jauge.Account, address string) error {
	hc, grant, err := v.Client(account)
	if err != nil || grant == "" {
		return fmt.Errorf("client (grant %q): %w", grant, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	res, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answered %d", res.StatusCode)
	}
	return nil
}

// judge reads the server's own log.
func judge(t *testing.T, i issuer, app oauth.App, asked int64) {
	t.Helper()
	text, err := os.ReadFile(i.Log)
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]int{}
	var served, refreshes int64
	last := ""
	for line := range strings.Lines(string(text)) {
		var e struct {
			Event, Client, Detail string
			GrantType             string `json:"grant_type"`
			RefreshToken          string `json:"refresh_token"`
			Status                int
			Reuse, Valid          bool
			Issued                struct {
				RefreshToken string `json:"refresh_token"`
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Client != app.ClientID {
			continue
		}
		switch {
		case e.Event == "api" && e.Valid:
			served++
		case e.Reuse, e.Event == "grant.revoked", strings.Contains(e.Detail, "already used"):
			t.Errorf("the server suspects a theft: %s", e.Event)
		case e.Event == "token" && e.Status != http.StatusOK:
			t.Errorf("a token request was refused: HTTP %d", e.Status)
		case e.Event == "token" && e.GrantType == "refresh_token":
			sent[e.RefreshToken]++
			refreshes++
			if e.RefreshToken != last {
				t.Error("a refresh traded in another token than the newest")
			}
		}
		if e.Event == "token" {
			last = e.Issued.RefreshToken
		}
	}
	for _, n := range sent {
		if n != 1 {
			t.Errorf("a refresh token was sent %d times", n)
		}
	}
	least := int64(length/time.Second/life) - 1
	if refreshes < least || refreshes > 2*least+2 {
		t.Errorf("%d refreshes in %s of a token that lives %d s", refreshes, length, life)
	}
	if asked < 1000 || served < asked {
		t.Errorf("%d calls were asked for, %d were served with a valid token", asked, served)
	}
	t.Logf("%d authorised calls by %d readers of %d vaults, %d refreshes, none twice", served, readers, vaults, refreshes)
}
