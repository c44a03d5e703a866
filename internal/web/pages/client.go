package pages

import (
	"net/http"
	"net/netip"
	"strings"
)

const mostHops = 16 // addresses of X-Forwarded-For that are looked at

// peers knows the proxies that may speak for others.
type peers struct{ trusted []netip.Prefix }

// trusts tells whether an address is a proxy of ours.
func (p peers) trusts(a netip.Addr) bool {
	for _, n := range p.trusted {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// peer is the other end of the connection; invalid where it has no IP address.
func peer(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// fromProxy tells whether the request came through a proxy of ours.
func (p peers) fromProxy(r *http.Request) bool { return p.trusts(peer(r)) }

// client is who asked: the peer, or where the peer is a proxy of ours, the last address before our proxies that
// X-Forwarded-For names. What stands further left anybody could have written.
func (p peers) client(r *http.Request) netip.Addr {
	at := peer(r)
	if !p.trusts(at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && i >= len(hops)-mostHops; i-- {
		a, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return at
		}
		at = a
		if !p.trusts(at) {
			break
		}
	}
	return at
}

// parseHop reads an address that may bear a port.
func parseHop(s string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}, err //nolint:wrapcheck // only whether it is one counts
	}
	return a.Unmap().WithZone(""), nil
}

const siteBits = 64 // of an IPv6 address: what one subscriber has

// bucket is what a client's tries are counted under: its address, or its network where it has many addresses.
func bucket(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = siteBits
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // not an IP address: all of these are one
	}
	return p
}
