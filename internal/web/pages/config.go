package pages

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/alexedwards/argon2id"

	"jauge.dev/jauge"
)

// Config says where the pages are reached and who may enter.
type Config struct {
	// Public is the address under which browsers reach the pages (JAUGE_PUBLIC_URL), without a path. nil: the loopback
	// address of Listen.
	Public *url.URL
	// Listen is the address that is listened on, as the listener names it: 127.0.0.1:8080.
	Listen string
	// AdminHash is the PHC string of the admin's password (argon2id), empty where nobody logs in by password.
	AdminHash jauge.Secret
	// ForwardHeader names the header by which a proxy says who the user is ("Remote-User"). It is believed from
	// TrustedProxies alone, and taken off every other request. Empty: no such proxy.
	ForwardHeader string
	// ForwardUsers are the users that may enter by ForwardHeader; none: all whom the proxy lets through.
	ForwardUsers []string
	// TrustedProxies are the addresses whose X-Forwarded-For, X-Forwarded-Host and ForwardHeader are believed.
	TrustedProxies []netip.Prefix
	// SessionKey is what cookies are sealed with: 32 bytes at least, the same on every replica, and no other use of it.
	SessionKey []byte
	// Open lets everybody in who reaches the listener: for loopback without a credential.
	Open bool
}

const (
	leastKey   = 32      // bytes of SessionKey
	mostMemory = 1 << 20 // KiB that a hash may ask for: more would be a mistake, or an attack by who sets it
)

// Validate says what contradicts itself, all at once.
func (c *Config) Validate() error {
	var bad []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad = append(bad, fmt.Errorf("listen address %q: %w", c.Listen, err))
	}
	if u := c.Public; u != nil {
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			bad = append(bad, errors.New("public URL: write it as https://jauge.example, without a path (JAUGE_PUBLIC_URL)"))
		}
	}
	if c.AdminHash != "" {
		bad = append(bad, checkHash(c.AdminHash))
	}
	if len(c.SessionKey) < leastKey {
		bad = append(bad, fmt.Errorf("session key: %d bytes, want %d at least", len(c.SessionKey), leastKey))
	}
	if c.ForwardHeader != "" && len(c.TrustedProxies) == 0 {
		bad = append(bad, errors.New("forward auth: name the proxies whose header is believed (JAUGE_TRUSTED_PROXIES)"))
	}
	if !c.Open && c.AdminHash == "" && c.ForwardHeader == "" {
		bad = append(bad, errors.New("nobody could enter: set a password (jauge hash-password, JAUGE_ADMIN_PASSWORD_HASH) or forward auth"))
	}
	if c.Open && (c.AdminHash != "" || c.ForwardHeader != "") {
		bad = append(bad, errors.New("open to everybody and with a credential: choose one"))
	}
	if c.Open && !loopback(c.Listen) {
		bad = append(bad, fmt.Errorf("%s is reached from elsewhere: it cannot be open to everybody", c.Listen))
	}
	return errors.Join(bad...)
}

// checkHash refuses what could not be verified, or at too high a price.
func checkHash(hash jauge.Secret) error {
	p, _, _, err := argon2id.DecodeHash(hash.Reveal())
	switch {
	case err != nil:
		return errors.New("admin password hash: it is no argon2id PHC string: make one with `jauge hash-password`")
	case p.Iterations == 0 || p.Parallelism == 0 || p.KeyLength == 0 || p.Memory > mostMemory:
		return errors.New("admin password hash: its parameters make no sense: make one with `jauge hash-password`")
	}
	return nil
}

// The price of a password: 46 MiB and one pass is what OWASP's password storage sheet names first for Argon2id; a small
// container can pay it.
var price = argon2id.Params{Memory: 46 << 10, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// HashPassword makes the PHC string of a password for Config.AdminHash. An empty password is refused.
func HashPassword(password jauge.Secret) (string, error) {
	if password == "" {
		return "", errors.New("hash password: it is empty")
	}
	h, err := argon2id.CreateHash(password.Reveal(), &price)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return h, nil
}

// loopback tells whether an address host:port is this machine's own.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
