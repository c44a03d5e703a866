package configs

import (
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/alexedwards/argon2id"

	"jauge.dev/jauge"
)

// Access says who may enter the pages: who knows the administrator's password, or whom a proxy before the daemon has
// let in. With neither, everybody who reaches the listener may, which is why that one is on loopback.
type Access struct {
	// AdminPasswordHash is the administrator's password as an argon2id PHC string, made by `jauge hash-password`. Its
	// dollar signs are doubled in a compose file; a file named by the _FILE twin holds it as it is.
	AdminPasswordHash jauge.Secret `env:"ADMIN_PASSWORD_HASH"`
	// TrustedProxies are the proxies whose word counts, as addresses and networks apart by commas: for the client's
	// address (X-Forwarded-For), and for who it is (JAUGE_FORWARD_AUTH_HEADER). A proxy on loopback is named as well.
	TrustedProxies Nets `env:"TRUSTED_PROXIES"`
	// ForwardAuthHeader is the header in which a trusted proxy names whom it has let in: X-Forwarded-User. The proxy must
	// remove it from what browsers send. Needs JAUGE_TRUSTED_PROXIES.
	ForwardAuthHeader string `env:"FORWARD_AUTH_HEADER"`
	// ForwardAuthUsers are those who may enter of whom the proxy names, apart by commas; empty: everybody whom it names.
	ForwardAuthUsers List `env:"FORWARD_AUTH_USERS"`
}

// Guarded tells whether somebody is asked who he is: there is a password, or a proxy that vouches.
func (a Access) Guarded() bool { return a.AdminPasswordHash != "" || a.Forwarded() }

// Forwarded tells whether a proxy vouches for those who enter.
func (a Access) Forwarded() bool { return a.ForwardAuthHeader != "" && len(a.TrustedProxies) > 0 }

// Nets are networks, written as addresses or networks in CIDR form apart by commas or blanks.
type Nets []netip.Prefix

// UnmarshalText reads networks; one address is a network of its own.
func (n *Nets) UnmarshalText(text []byte) error {
	*n = nil
	for _, word := range words(string(text)) {
		p, err := netip.ParsePrefix(word)
		if a, aerr := netip.ParseAddr(word); aerr == nil {
			a = a.Unmap().WithZone("")
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is neither an address nor a network: write 10.0.0.7 or 10.0.0.0/8, apart by commas", word)
		}
		*n = append(*n, p.Masked())
	}
	return nil
}

// String writes the networks as they are read.
func (n Nets) String() string {
	out := make([]string, len(n))
	for i, p := range n {
		out[i] = p.String()
	}
	return strings.Join(out, ",")
}

// List is words apart by commas.
type List []string

// UnmarshalText reads the words; empty ones do not count.
func (l *List) UnmarshalText(text []byte) error {
	*l = nil
	for word := range strings.SplitSeq(string(text), ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

// String writes the words as they are read.
func (l List) String() string { return strings.Join(l, ",") }

// words are apart by commas or white space.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

var (
	_ encoding.TextUnmarshaler = (*Nets)(nil)
	_ encoding.TextUnmarshaler = (*List)(nil)
)

// Names of the variables that decide who may enter.
const (
	listenVar = prefix + "LISTEN"
	opsVar    = prefix + "OPS_LISTEN"
	publicVar = prefix + "PUBLIC_URL"
	hashVar   = prefix + "ADMIN_PASSWORD_HASH"
	headerVar = prefix + "FORWARD_AUTH_HEADER"
	usersVar  = prefix + "FORWARD_AUTH_USERS"
	proxyVar  = prefix + "TRUSTED_PROXIES"
)

// access judges the listeners and who may enter by them.
func (c *Config) access(env *environment) {
	c.listeners(env)
	c.publicURL(env)
	c.passwordHash(env)
	c.forwardAuth(env)
	open := !Loopback(c.Listen)
	var missing []string
	if open && !c.Access.Guarded() && !env.blamed(hashVar) && !env.blamed(hashVar+fileTwin) && !env.blamed(headerVar) && !env.blamed(proxyVar) {
		missing = append(missing, "set "+hashVar+" (made by `jauge hash-password`), or "+headerVar+" with "+proxyVar)
	}
	if open && !strings.HasPrefix(c.PublicURL, "https:") && !env.blamed(publicVar) {
		missing = append(missing, "set "+publicVar+" to the https address under which browsers come: https://jauge.example")
	}
	if len(missing) > 0 && !env.blamed(listenVar) {
		env.mistake(listenVar, "%q is reached from other machines: %s; or listen on 127.0.0.1 alone, with %s for /metrics and health",
			c.Listen, strings.Join(missing, ", and "), opsVar)
	}
	if !open && !c.Access.Guarded() && strings.HasPrefix(c.PublicURL, "https:") {
		env.warnings = append(env.warnings, publicVar+" is set, and nobody is asked for a password: whoever reaches that address may "+
			"connect and remove accounts; set "+hashVar+", or "+headerVar+" with "+proxyVar)
	}
}

// listeners judges the addresses themselves.
func (c *Config) listeners(env *environment) {
	if err := checkListen(c.Listen); err != nil {
		env.mistake(listenVar, "%q is no address: write it as 127.0.0.1:8080", c.Listen)
	}
	if c.OpsListen == "" {
		return
	}
	if err := checkListen(c.OpsListen); err != nil {
		env.mistake(opsVar, "%q is no address: write it as 127.0.0.1:9090", c.OpsListen)
		return
	}
	if collide(c.Listen, c.OpsListen) {
		env.mistake(opsVar, "%q takes the same port as %s: give it another one, or leave it away", c.OpsListen, listenVar)
	}
}

// checkListen tells whether one could listen on an address.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if port == "" {
		return errors.New("no port")
	}
	_, err = net.LookupPort("tcp", port) //nolint:noctx // a number, or a name of the system's own list
	return err
}

// collide tells whether two addresses cannot both be listened on.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	every := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return every(hostA) || every(hostB) || strings.EqualFold(hostA, hostB) || Loopback(a) && Loopback(b)
}

// Loopback tells whether an address to listen on, "host:port", is reached from this machine alone. A name other than
// localhost counts as reached by others.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// publicURL judges the address under which browsers come, and takes a slash at its end away.
func (c *Config) publicURL(env *environment) {
	if c.PublicURL == "" {
		return
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		(u.Path != "" && u.Path != "/") || (u.Scheme != "https" && u.Scheme != "http") {
		env.mistake(publicVar, "is no address of a site of its own: write it as https://jauge.example, without path, query or user")
		return
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		env.mistake(publicVar, "%q is not https, which is needed but on loopback: platforms send people and codes there", c.PublicURL)
		return
	}
	u.Path = ""
	u.Host = strings.ToLower(u.Host)
	c.PublicURL = u.String()
}

// Bounds of a password hash: what no computer should be asked to do at a login, and what is too cheap to guess.
const (
	mostHashMemory = 1 << 20  // KiB
	mostHashTime   = 1000     // iterations
	leastHashWork  = 7168 * 5 // KiB times iterations: the cheapest that OWASP's cheat sheet of password storage names
	leastHashSalt  = 8        // bytes
	leastHashKey   = 16       // bytes
	mostHashKey    = 1 << 10  // bytes
	hashHint       = "make it by `jauge hash-password`, and mind that a compose file wants $$ for each $"
)

// passwordHash judges the administrator's hash without computing anything.
func (c *Config) passwordHash(env *environment) {
	hash := strings.TrimSpace(c.Access.AdminPasswordHash.Reveal())
	if hash == "" {
		return
	}
	c.Access.AdminPasswordHash = jauge.Secret(hash)
	p, salt, key, err := argon2id.DecodeHash(hash)
	switch {
	case err != nil: // the library's words could hold a part of what was written, a password perhaps
		env.mistake(hashVar, "is no argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash): %s", hashHint)
	case p.Iterations == 0 || p.Parallelism == 0 || p.Memory == 0 || len(salt) < leastHashSalt || len(key) < leastHashKey:
		env.mistake(hashVar, "is an argon2id hash that protects nothing: its salt, its hash or its cost is too small: %s", hashHint)
	case p.Memory > mostHashMemory || p.Iterations > mostHashTime || len(key) > mostHashKey:
		env.mistake(hashVar, "would cost %d MiB and %d rounds at each login: %s", p.Memory>>10, p.Iterations, hashHint)
	case uint64(p.Memory)*uint64(p.Iterations) < leastHashWork:
		env.warnings = append(env.warnings, hashVar+" is cheap to guess: make a new one by `jauge hash-password`")
	}
}

// forwardAuth judges what a proxy is believed.
func (c *Config) forwardAuth(env *environment) {
	a := &c.Access
	a.ForwardAuthHeader = strings.TrimSpace(a.ForwardAuthHeader)
	if slices.ContainsFunc(a.TrustedProxies, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		env.mistake(proxyVar, "trusts the whole internet: name the addresses of your proxies")
	}
	if a.ForwardAuthHeader == "" {
		if len(a.ForwardAuthUsers) > 0 {
			env.mistake(usersVar, "means nothing without %s: set it to the header in which your proxy names who entered", headerVar)
		}
		return
	}
	if !headerName(a.ForwardAuthHeader) {
		env.mistake(headerVar, "is no name of a header: write it as X-Forwarded-User")
	} else if slices.ContainsFunc(taken, func(h string) bool { return strings.EqualFold(h, a.ForwardAuthHeader) }) {
		env.mistake(headerVar, "is %s, which browsers and proxies use for something else: choose a header like X-Forwarded-User", a.ForwardAuthHeader)
	}
	if len(a.TrustedProxies) == 0 && !env.blamed(proxyVar) {
		env.mistake(headerVar, "is believed from nobody: set %s to the address of your proxy, 127.0.0.1 where it runs beside jauge", proxyVar)
	}
}

// taken are headers that never name who entered.
var taken = []string{
	"Authorization", "Connection", "Content-Type", "Cookie", "Forwarded", "Host", "Origin", "Referer", "User-Agent", "X-Forwarded-For",
	"X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
}

// headerName tells whether a text is a token of RFC 9110, as names of headers are.
func headerName(s string) bool {
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) {
			return false
		}
	}
	return s != ""
}
