package rest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jauge.dev/jauge"
)

// ErrGuarded says that an address was not called because only machines near this one can reach it. Nothing was sent.
var ErrGuarded = errors.New("address is not a public one")

const hintGuarded = "if jauge is meant to call it, open its network with JAUGE_ALLOW_NETS, such as JAUGE_ALLOW_NETS=10.1.2.0/24"

// guard keeps calls from loopback, link-local, private and other special addresses, so that whatever steers a request
// (a typed instance, a redirect, a server's metadata) cannot lead it to a machine that only the operator can reach.
//
//	request ─┬─ no proxy ─▶ dial ─┬─ host:port that the operator set ─▶ connect
//	         │                    └─ any other ─▶ resolve ─▶ each address, just before it is connected ─▶ connect
//	         └─ proxy of the environment ─▶ the URL's host where it is an address or localhost ─▶ proxy
//
// What is checked is the address that the connection really goes to, at each attempt: a name that resolves to something
// else a moment later gains nothing. Behind a proxy names are resolved there, and it is the proxy that must keep them
// from its own network; its address comes from the operator and is not checked.
type guard struct {
	allow  []netip.Prefix
	exempt map[string]bool // host:port in lower case

	proxy           func(*http.Request) (*url.URL, error)
	direct, proxied *http.Transport
}

// newGuard makes the transport to the network. exempt holds addresses (URLs) that the operator set; empty ones are passed
// over. Idle connections are few per host and bounded in all, since some platforms are thousands of hosts.
func newGuard(cfg Config, exempt []string) (*guard, error) {
	g := &guard{allow: cfg.AllowNets, exempt: map[string]bool{}, proxy: http.ProxyFromEnvironment}
	for _, s := range exempt {
		if s == "" {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("make http client: %q is no address with a host", s)
		}
		g.exempt[hostPort(u)] = true
	}
	plain := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	checked := &net.Dialer{Timeout: plain.Timeout, KeepAlive: plain.KeepAlive, ControlContext: g.control}
	g.direct = newBase(cfg)
	g.direct.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if g.exempt[strings.ToLower(addr)] {
			return plain.DialContext(ctx, network, addr)
		}
		return checked.DialContext(ctx, network, addr)
	}
	g.proxied = newBase(cfg)
	g.proxied.DialContext = plain.DialContext
	g.proxied.Proxy = func(r *http.Request) (*url.URL, error) { return g.proxy(r) }
	return g, nil
}

func newBase(cfg Config) *http.Transport {
	return &http.Transport{
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4 * cfg.MaxInFlight,
		MaxIdleConnsPerHost:    cfg.MaxInFlight,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	proxy, err := g.proxy(req)
	if err != nil {
		closeBody(req)
		return nil, fmt.Errorf("find proxy: %w", err)
	}
	if proxy == nil {
		return g.direct.RoundTrip(req)
	}
	if err := g.literal(req.URL); err != nil {
		closeBody(req)
		if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GetConn != nil {
			trace.GetConn(hostPort(req.URL)) // as a refused dial would: who asks learns that nothing was sent
		}
		return nil, err
	}
	return g.proxied.RoundTrip(req)
}

// CloseIdleConnections closes what is open and unused.
func (g *guard) CloseIdleConnections() {
	g.direct.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// control judges the address that is about to be connected: after names were resolved, for each of their addresses.
func (g *guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return guarded(fmt.Sprintf("%s %q", network, address))
	}
	return g.check(ap.Addr())
}

// literal judges a URL whose name will be resolved elsewhere.
func (g *guard) literal(u *url.URL) error {
	if g.exempt[hostPort(u)] {
		return nil
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return g.check(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if ip, ok := anyAddress(host); ok {
		return g.check(ip)
	}
	return nil
}

func (g *guard) check(ip netip.Addr) error {
	ip = ip.WithZone("").Unmap()
	forms := []netip.Addr{ip}
	if nat64.Contains(ip) {
		b := ip.As16()
		forms = append(forms, netip.AddrFrom4([4]byte(b[12:])))
	}
	for _, f := range forms {
		for _, p := range g.allow {
			if p.Contains(f) {
				return nil
			}
		}
	}
	if !isPublic(forms[len(forms)-1]) {
		return guarded(ip.String())
	}
	return nil
}

// guarded is the refusal: final, and no fault of the host that a circuit would count.
func guarded(what string) error {
	return &jauge.Error{
		Reason: jauge.ReasonBadRequest, Hint: hintGuarded, Err: fmt.Errorf("%w: %s", ErrGuarded, what),
	}
}

// nat64 is the prefix under which networks without IPv4 reach it (RFC 6052): what counts is the address within.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// global is all of IPv6 that is given out for use in public.
var global = netip.MustParsePrefix("2000::/3")

// special are the ranges that the registries of special addresses (RFC 6890 and its successors) keep from public use, as
// far as they lie in IPv4 or in global. 6to4 and Teredo (2002::/16, 2001::/32) hold an IPv4 address and are both given
// up: nothing public is there.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// isPublic tells whether an address without zone, unmapped, is one of the public internet.
func isPublic(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Is6() && !global.Contains(ip) {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// hostPort is what a connection for the URL is dialled with.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// anyAddress reads an address in every spelling that resolvers understand: 127.0.0.1, ::1, 2130706433, 0x7f.1, 0177.0.0.1.
func anyAddress(host string) (netip.Addr, bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, p := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 32 - 8*i
		}
		n, err := strconv.ParseUint(p, 0, bits) // base by prefix, 0 for octal: as inet_aton reads it
		if err != nil || strings.Contains(p, "_") {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}
