package pages

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// hosts knows the names under which the pages are served. Any other name is refused: a page of somebody else's site,
// whose name was made to resolve to our address, would read ours as its own (DNS rebinding).
type hosts struct {
	canonical string // host, or host:port where the port is not the scheme's
	origin    string // "https://jauge.example"
	secure    bool   // browsers come by https
	public    bool   // a public URL is set: other names are sent there
	served    map[string]bool
	local     map[string]bool // names of the listener itself, where it is loopback: they cannot be rebound
}

func newHosts(public *url.URL, listen string) hosts {
	names, local := localNames(listen), map[string]bool{}
	for _, n := range names {
		local[n] = true
	}
	if public == nil {
		return hosts{canonical: names[0], origin: "http://" + names[0], served: local, local: local}
	}
	h := hosts{canonical: hostOf(public.Host, public.Scheme), secure: public.Scheme == "https", public: true}
	h.origin = public.Scheme + "://" + h.canonical
	h.served = map[string]bool{h.canonical: true}
	if loopback(listen) {
		h.local = local
	}
	return h
}

// localNames are the names under which a browser on this machine reaches a listener, the best one first.
func localNames(listen string) []string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		host = listen
	}
	names := []string{"127.0.0.1", "localhost", "[::1]"}
	switch {
	case host == "::1": // nothing answers at 127.0.0.1
		names = []string{"[::1]", "localhost"}
	case loopback(listen) && !slices.Contains(names, host):
		names = append([]string{host}, names...)
	}
	for i, n := range names {
		names[i] = hostOf(n+":"+port, "http")
	}
	return names
}

// hostOf writes a host in one way: small letters, no dot at the end, no port where it is the scheme's own.
func hostOf(host, scheme string) string {
	host = strings.ToLower(host)
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.TrimSuffix(host, ".")
	}
	name = strings.TrimSuffix(name, ".")
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if port == "" || port == "443" && scheme == "https" || port == "80" && scheme == "http" {
		return name
	}
	return name + ":" + port
}

// asked is the host that the browser meant: what the proxy says, where it is ours, else the request's own.
func (s *Server) asked(r *http.Request) string {
	scheme := "http"
	if s.hosts.secure {
		scheme = "https"
	}
	if f := r.Header.Get("X-Forwarded-Host"); f != "" && s.peers.fromProxy(r) {
		return hostOf(f, scheme)
	}
	return hostOf(r.Host, scheme)
}

// named tells whether a request came under a name of ours.
func (s *Server) named(r *http.Request) bool { return s.hosts.served[s.asked(r)] }

// overHTTP tells whether a proxy of ours says that the browser came without TLS where it should have.
func (s *Server) overHTTP(r *http.Request) bool {
	return s.hosts.secure && s.peers.fromProxy(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "http")
}

// sentOn marks an address to which a browser was sent because of its name: if it comes back under the wrong one again,
// it is the proxy that changes it, and sending it on once more would never end.
const sentOn = "jauge-host"

// rightHost serves what came under a name of ours, sends on what can be, and refuses the rest.
func (s *Server) rightHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.named(r) && !s.overHTTP(r) || s.probe(r) {
			next.ServeHTTP(w, r)
			return
		}
		if !s.hosts.public || r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.trouble(w, r, page{Status: http.StatusMisdirectedRequest, Kind: "wrong_host", Values: []any{"address", s.hosts.origin}})
			return
		}
		q := r.URL.Query()
		if q.Has(sentOn) {
			s.trouble(w, r, page{Status: http.StatusMisdirectedRequest, Kind: "host_loop", Values: []any{"address", s.hosts.origin, "host", s.hosts.canonical}})
			return
		}
		q.Set(sentOn, "1")
		http.Redirect(w, r, s.hosts.origin+r.URL.EscapedPath()+"?"+q.Encode(), http.StatusFound)
	})
}
