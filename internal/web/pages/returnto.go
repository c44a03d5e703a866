package pages

import (
	"net/url"
	"path"
	"strings"
)

const mostReturn = 1024 // bytes

// ownPath gives the path (and query) to return to after a login where it is one of ours, else "/". What a browser could
// take for another site's address is none: "//evil", "/\evil", "https:evil", control characters that it leaves out.
func ownPath(to string) string {
	const home = "/"
	if to == "" || to[0] != '/' || len(to) > mostReturn {
		return home
	}
	for _, c := range to {
		if c < ' ' || c == '\\' || c == 0x7f || c == '\ufffd' {
			return home
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return home
	}
	// Judged as it reads when decoded, in case something on the way decodes it.
	if strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\x00\r\n\t") || path.Clean(u.Path) != u.Path {
		return home
	}
	first, _, _ := strings.Cut(u.Path[1:], "/")
	switch first {
	case "", "accounts", "connect", "grants", "readyz", "metrics":
	default: // never back to the login itself, nor into a callback
		return home
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
}
