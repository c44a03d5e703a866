package providers_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/rest"
)

// What is typed, and what a server that was typed says, leads to no machine that only the operator can reach.
func TestTypedAddressesAreGuarded(t *testing.T) {
	var hits atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":")+1:]
	// The directory is the operator's; what it says of accounts is not.
	directory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"id":"` + brandDID + `","service":[{"id":"#atproto_pds","type":"AtprotoPersonalDataServer","serviceEndpoint":"` + inside.URL + `"}]}`))
	}))
	defer directory.Close()
	hc, err := rest.NewPlain("guarded", rest.Default(), rest.Deps{Exempt: []string{directory.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	for _, c := range []struct{ provider, input string }{
		{"mastodon", "127.0.0.1:" + port}, {"mastodon", "localhost:" + port}, {"mastodon", inside.URL}, {"mastodon", "@brand@localhost:" + port},
		{"mastodon", "169.254.169.254"}, {"mastodon", "10.0.0.1"},
		{"bluesky", "did:web:localhost%3A" + port}, {"bluesky", "did:web:127.0.0.1%3A" + port}, {"bluesky", brandDID},
	} {
		p := named(t, c.provider)
		p.Endpoints.Directory = directory.URL
		call := &oauth.Call{
			Provider: &p, Server: &oauth.Server{}, HTTP: hc, Redirect: redirectHere, Now: time.Now, Base: func(jauge.Platform) string { return "" },
		}
		_, _, err := begin(t, call, c.input)
		if flowKind(err) != oauth.FlowBadInput || !errors.Is(err, rest.ErrGuarded) || !strings.Contains(err.Error(), "JAUGE_ALLOW_NETS") {
			t.Errorf("%s %s: %v", c.provider, c.input, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d calls reached the inside", hits.Load())
	}
}
