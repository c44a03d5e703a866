package mastodon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

const example = "@brand@mastodon.example"

var (
	userName   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	domainName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// handle is a handle taken apart: the user as given, the domain in lower case.
type handle struct{ user, domain string }

// String gives the handle as Mastodon shows it.
func (h handle) String() string { return "@" + h.user + "@" + h.domain }

func checkHandle(s string) error {
	_, err := parseHandle(s)
	return err
}

// parseHandle reads "@user@host" or "user@host".
func parseHandle(s string) (handle, error) {
	if s == "" {
		return handle{}, errors.New("handle is empty: write user and server, such as " + example)
	}
	if strings.Contains(s, "://") {
		return handle{}, fmt.Errorf("handle %q is a web address: write user and server, such as %s", s, addressed(s))
	}
	user, domain, found := strings.Cut(strings.TrimPrefix(s, "@"), "@")
	domain = strings.ToLower(domain)
	switch {
	case !found:
		return handle{}, fmt.Errorf("handle %q names no server: write user and server, such as %s", s, example)
	case !userName.MatchString(user):
		return handle{}, fmt.Errorf("handle %q has no user name of letters, digits, _, . and -: write it like %s", s, example)
	case !validHost(domain):
		return handle{}, fmt.Errorf("handle %q has no valid server name after the second @: write it like %s"+
			" (a name with other letters in its xn-- form)", s, example)
	}
	return handle{user, domain}, nil
}

// addressed guesses the handle behind a profile's address, https://mastodon.example/@brand.
func addressed(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return example
	}
	_, user, found := strings.Cut(u.Path, "/@")
	if h, err := parseHandle(user + "@" + u.Host); found && err == nil {
		return h.String()
	}
	return example
}

// validHost tells whether s, in lower case, names a host, with a port or without.
func validHost(s string) bool {
	name := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = h
	}
	return len(name) <= 253 && domainName.MatchString(name)
}

// publicHost tells whether a host that a server named may be called: a domain name, no address and no port, so that
// nobody leads jauge to a machine that only its operator can reach.
func publicHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	return domainName.MatchString(s) && strings.Contains(s, ".") && !strings.HasSuffix(s, ".localhost")
}

// splitID takes an account's id apart: the server's own id and the server.
func splitID(s string) (id, server string, err error) {
	i := strings.LastIndexByte(s, '@')
	if i < 1 || !validHost(s[i+1:]) {
		return "", "", fmt.Errorf("account id %q is not of the form id@server", s)
	}
	return s[:i], s[i+1:], nil
}
