package rest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"testing"
)

func TestIsPublic(t *testing.T) {
	g := &guard{}
	for address, want := range map[string]bool{
		"1.1.1.1": true, "93.184.215.14": true, "100.63.255.255": true, "100.128.0.0": true, "172.32.0.1": true,
		"2606:4700::1111": true, "64:ff9b::101:101": true, "::ffff:1.1.1.1": true, "2a00:1450::1": true,
		"0.1.2.3": false, "10.255.0.1": false, "100.64.0.1": false, "100.127.255.255": false, "127.0.0.1": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.8": false, "192.0.2.1": false,
		"192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.7": false,
		"203.0.113.1": false, "224.0.0.251": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::7f00:1": false, "::ffff:10.0.0.1": false, "::ffff:0:7f00:1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::101:101": false,
		"100::1": false, "2001::1": false, "2001:0:4136:e378:8000:63bf:3fff:fdd2": false, "2001:db8::1": false,
		"2002:7f00:1::1": false, "2002:101:101::1": false, "3fff::1": false, "5f00::1": false, "fc00::1": false,
		"fd12:3456::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
	} {
		ip := netip.MustParseAddr(address)
		if err := g.check(ip); (err == nil) != want || err != nil && !errors.Is(err, ErrGuarded) {
			t.Errorf("%s: %v, public %t", address, err, want)
		}
	}
	open := &guard{allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, address := range []string{"10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"} {
		if err := open.check(netip.MustParseAddr(address)); err != nil {
			t.Errorf("%s is refused though its network is open: %v", address, err)
		}
	}
	if open.check(netip.MustParseAddr("64:ff9b::7f00:1")) == nil {
		t.Error("another network is open as well")
	}
}

func TestControlTakesOnlyWhatItUnderstands(t *testing.T) {
	g := &guard{}
	for _, c := range []struct {
		network, address string
		ok               bool
	}{
		{"tcp4", "1.1.1.1:443", true}, {"tcp6", "[2606:4700::1111]:443", true},
		{"tcp6", "[fe80::1%lo]:80", false}, {"tcp4", "nonsense", false}, {"unix", "/run/x.sock", false}, {"udp4", "1.1.1.1:53", false},
	} {
		if err := g.control(t.Context(), c.network, c.address, nil); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.network, c.address, err)
		}
	}
}

// Behind a proxy nothing is resolved here: what can be seen in the address itself is refused all the same.
func TestGuardBehindAProxy(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.Host) }))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGuard(Default(), []string{"http://10.0.0.9:8000"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.CloseIdleConnections()
	g.proxy = func(*http.Request) (*url.URL, error) { return at, nil }
	send := func(address string) (told bool, err error) {
		trace := &httptrace.ClientTrace{GetConn: func(string) { told = true }}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := g.RoundTrip(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return told, err
	}
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::ffff:10.0.0.1]", "2130706433",
		"0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "127.1", "169.254.169.254", "10.0.0.9"} {
		if told, err := send("http://" + host + "/"); !errors.Is(err, ErrGuarded) || !told {
			t.Errorf("%s: %v, told %t", host, err, told)
		}
	}
	for _, host := range []string{"social.example", "1.1.1.1", "10.0.0.9:8000"} {
		if _, err := send("http://" + host + "/"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if len(asked) != 3 {
		t.Errorf("proxy was asked for %v", asked)
	}
	g.proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("malformed") }
	if _, err := send("http://social.example/"); err == nil {
		t.Error("a proxy that cannot be told is passed by")
	}
}

func FuzzAnyAddress(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "2130706433", "0x7f.1", "::1", "a.example", "1.2.3.4.5", "0177.1", "..", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ip, ok := anyAddress(s)
		if want, err := netip.ParseAddr(s); err == nil && (!ok || ip != want) {
			t.Errorf("%q: %v, %t", s, ip, ok)
		}
		if ok && !ip.IsValid() {
			t.Errorf("%q gives no address", s)
		}
	})
}
