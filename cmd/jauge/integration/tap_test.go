//go:build integration

package integration_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tap stands in front of a real server, passes everything on, and keeps what was asked.
type tap struct {
	URL string

	mu    sync.Mutex
	calls []call
}

// call is a request that went through a tap.
type call struct {
	method, path, authorization string
	status                      int
}

// tapped puts a tap in front of a server. change, which may be nil, sees each answer before it goes back.
func tapped(t *testing.T, server string, change func(*http.Response) error) *tap {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	tap := &tap{}
	proxy := &httputil.ReverseProxy{
		// The server sees the tap's name: the addresses that it tells of itself lead back here.
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			var err error
			if change != nil {
				err = change(r)
			}
			tap.mu.Lock()
			defer tap.mu.Unlock()
			tap.calls = append(tap.calls, call{r.Request.Method, r.Request.URL.Path, r.Request.Header.Get("Authorization"), r.StatusCode})
			return err
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	tap.URL = s.URL
	return tap
}

// count counts the calls that a condition holds for.
func (p *tap) count(cond func(call) bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.calls {
		if cond(c) {
			n++
		}
	}
	return n
}

// with counts the calls of a path that were made with some authorization and answered with 200.
func (p *tap) with(authorization, path string) int {
	return p.count(func(c call) bool {
		return c.authorization == authorization && strings.HasPrefix(c.path, path) && c.status == http.StatusOK
	})
}

func (p *tap) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, c := range p.calls {
		kind, _, _ := strings.Cut(c.authorization, " ")
		fmt.Fprintf(&b, "%s %s (%s) %d\n", c.method, c.path, kind, c.status)
	}
	return tail(b.String(), 3000)
}

// trap is a server that nobody should reach: it stands on an address of this machine, and counts connections.
type trap struct {
	addr string // host:port
	n    atomic.Int64
}

// trapAt sets a trap up. 127.0.0.9 is this machine as well, and no address that an operator has named.
func trapAt(t *testing.T, ip string) *trap {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &trap{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.n.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return p
}

// untouched demands that nobody came since it was asked last.
func (p *trap) untouched(t *testing.T, road string) {
	t.Helper()
	if n := p.n.Swap(0); n > 0 {
		t.Errorf("%s led to %d connections to %s", road, n, p.addr)
	}
}

// reached demands that somebody came since it was asked last.
func (p *trap) reached(t *testing.T, road string) {
	t.Helper()
	if n := p.n.Swap(0); n == 0 {
		t.Errorf("%s led to no connection to %s, though its network is open: the test shows nothing", road, p.addr)
	}
}
