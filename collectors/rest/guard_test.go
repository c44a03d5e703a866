package rest_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/rest"
)

// inner is a server that only the operator should reach; it counts who got through.
func inner(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var hits atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		fine(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv, &hits
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func guardedClient(t *testing.T, cfg rest.Config, deps rest.Deps) *http.Client {
	t.Helper()
	hc, err := rest.NewClient(platform(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return hc
}

// wantGuarded looks for the refusal and for what the operator is told.
func wantGuarded(t *testing.T, what string, err error) {
	t.Helper()
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || !errors.Is(err, rest.ErrGuarded) || e.Reason != jauge.ReasonBadRequest || !strings.Contains(e.Hint, "JAUGE_ALLOW_NETS") {
		t.Errorf("%s: %v, want a refusal that names JAUGE_ALLOW_NETS", what, err)
	}
}

func TestGuardRefusesEverySpelling(t *testing.T) {
	srv, hits := inner(t)
	port := portOf(t, srv.URL)
	reg := prometheus.NewPedanticRegistry()
	m, err := rest.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	hc := guardedClient(t, rest.Default(), rest.Deps{Exempt: []string{"https://elsewhere.example"}, Metrics: m})
	for _, host := range []string{"127.0.0.1", "localhost", "127.7.7.7", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "10.0.0.1", "[fd00::1]"} {
		_, _, err := rest.Get[doc](t.Context(), hc, "read", "http://"+host+":"+port+"/")
		wantGuarded(t, host, err)
	}
	// Spellings that some resolvers read as 127.0.0.1 and others take for a name that nobody has.
	for _, host := range []string{"2130706433", "0x7f.1", "0177.0.0.1", "127.1"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+":"+port+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was called", host)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d calls got through", n)
	}
	wantMetric(t, reg, "jauge_api_retries_total", `jauge_api_retries_total{platform="plume"} 0`)
	wantMetric(t, reg, "jauge_api_circuit_open", `jauge_api_circuit_open{platform="plume"} 0`)
	wantMetric(t, reg, "jauge_api_calls_total", `jauge_api_calls_total{outcome="bad_request",platform="plume"} 13`)
}

func TestGuardOpens(t *testing.T) {
	srv, hits := inner(t)
	cfg := rest.Default()
	cfg.AllowNets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, hc := range map[string]*http.Client{
		"allowed network": guardedClient(t, cfg, rest.Deps{Exempt: []string{}}),
		"exempt address":  guardedClient(t, rest.Default(), rest.Deps{Exempt: []string{"", srv.URL + "/api"}}),
	} {
		if _, _, err := rest.Get[doc](t.Context(), hc, "read", srv.URL); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if hits.Load() != 2 {
		t.Errorf("%d calls got through, want 2", hits.Load())
	}
	if _, err := rest.NewClient(platform(), rest.Default(), rest.Deps{Exempt: []string{"%zz"}}); err == nil {
		t.Error("an address that is none is taken")
	}
	if err := (rest.Config{AllowNets: make([]netip.Prefix, 1)}).Validate(); err == nil || !strings.Contains(err.Error(), "ALLOW_NETS ") {
		t.Errorf("empty network: %v", err)
	}
}

func TestGuardChecksWhereARedirectLeads(t *testing.T) {
	srv, hits := inner(t)
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, srv.URL+"/secret?key=hush", http.StatusFound)
	}))
	defer outer.Close()
	deps := rest.Deps{Exempt: []string{outer.URL}}
	plain, err := rest.NewPlain("plume", rest.Default(), deps)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.CloseIdleConnections()
	for name, hc := range map[string]*http.Client{"paced": guardedClient(t, rest.Default(), deps), "plain": plain} {
		_, _, err := rest.Get[doc](t.Context(), hc, "read", outer.URL)
		wantGuarded(t, name, err)
		if strings.Contains(fmt.Sprint(err), "hush") {
			t.Errorf("%s: error tells the query: %v", name, err)
		}
	}
	if hits.Load() != 0 {
		t.Error("the redirect was followed to a private address")
	}
}

// A name's addresses are judged when they are dialled, each time: what the name resolved to before counts for nothing.
func TestGuardLooksAtWhatANameResolvesTo(t *testing.T) {
	names, err := net.DefaultResolver.LookupHost(t.Context(), "localhost")
	if err != nil || len(names) == 0 {
		t.Fatalf("this machine does not know localhost: %v", err)
	}
	srv, hits := inner(t)
	hc := guardedClient(t, rest.Default(), rest.Deps{Exempt: []string{srv.URL}}) // by address, not by this name
	_, _, err = rest.Get[doc](t.Context(), hc, "read", "http://localhost:"+portOf(t, srv.URL))
	wantGuarded(t, "localhost", err)
	if hits.Load() != 0 {
		t.Error("a name led to a private address")
	}
}

func TestPlainClient(t *testing.T) {
	var asked atomic.Int64
	var got atomic.Value
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		got.Store(r.Header.Clone())
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, srv.URL+"/there", http.StatusTemporaryRedirect)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/endless":
			_, _ = w.Write([]byte(strings.Repeat("x", 3<<20)))
		default:
			fine(w, r)
		}
	}))
	defer srv.Close()
	reg := prometheus.NewPedanticRegistry()
	m, err := rest.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	hc, err := rest.NewPlain("plume-login", rest.Default(), rest.Deps{Version: "9", Exempt: []string{srv.URL}, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	post := func(path string) (int, error) {
		resp, err := hc.Post(srv.URL+path, "text/plain", strings.NewReader("secret"))
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	for path, want := range map[string]int{"/": 200, "/away": 307, "/broken": 503} {
		before := asked.Load()
		status, err := post(path)
		if err != nil || status != want || asked.Load() != before+1 {
			t.Errorf("%s: status %d, %v, %d requests; want %d and one", path, status, err, asked.Load()-before, want)
		}
	}
	if _, err := post("/endless"); jauge.ReasonOf(err) != jauge.ReasonDecode {
		t.Errorf("endless body: %v", err)
	}
	if h, _ := got.Load().(http.Header); h.Get("User-Agent") != "jauge/9" {
		t.Errorf("headers %v", h)
	}
	wantMetric(t, reg, "jauge_api_calls_total", `jauge_api_calls_total{outcome="server",platform="plume-login"} 1`)
	if _, err := rest.NewPlain("", rest.Default(), rest.Deps{Exempt: []string{}}); err == nil {
		t.Error("a client without a name is made")
	}
}
