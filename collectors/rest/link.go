package rest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"jauge.dev/jauge"
)

// NextLink finds the next page in an answer's Link headers (RFC 8288, rel="next"), resolved against base, the
// address that was asked. ok is false where there is none. A next page on another host, under another scheme or with
// a user's name in it is refused: the call would carry what was meant for this host to that one.
func NextLink(h http.Header, base *url.URL) (next string, ok bool, err error) {
	for _, line := range h.Values("Link") {
		for line != "" {
			var target string
			var rels []string
			target, rels, line = oneLink(line)
			if target == "" || !hasRel(rels, "next") {
				continue
			}
			u, err := base.Parse(target)
			if err != nil {
				return "", false, linkError("next page's address is malformed")
			}
			if u.Host != base.Host || u.Scheme != base.Scheme || u.User != nil {
				return "", false, linkError("next page is on another host than the one asked")
			}
			return u.String(), true, nil
		}
	}
	return "", false, nil
}

func linkError(s string) error {
	return &jauge.Error{Op: "find next page", Reason: jauge.ReasonDecode, Err: errors.New(s)}
}

func hasRel(rels []string, want string) bool {
	for _, r := range rels {
		for _, w := range strings.Fields(r) {
			if strings.EqualFold(w, want) {
				return true
			}
		}
	}
	return false
}

// oneLink takes the first link-value off a Link header's line: its target, the values of its first rel parameter,
// and what follows the comma.
func oneLink(line string) (target string, rels []string, rest string) {
	_, line, found := strings.Cut(line, "<")
	if !found {
		return "", nil, ""
	}
	target, line, found = strings.Cut(line, ">")
	if !found {
		return "", nil, ""
	}
	for {
		line = strings.TrimLeft(line, " \t;")
		if line == "" || line[0] == ',' {
			return target, rels, strings.TrimPrefix(line, ",")
		}
		var name, value string
		name, value, line = oneParam(line)
		if strings.EqualFold(name, "rel") && rels == nil {
			rels = []string{value}
		}
	}
}

// oneParam takes one parameter off the line; line holds no leading blank, semicolon or comma, and is not empty.
func oneParam(line string) (name, value, rest string) {
	i := strings.IndexAny(line, "=;,")
	if i < 0 {
		return strings.TrimSpace(line), "", ""
	}
	name, rest = strings.TrimSpace(line[:i]), line[i:]
	if rest[0] != '=' {
		return name, "", rest
	}
	rest = strings.TrimLeft(rest[1:], " \t")
	if !strings.HasPrefix(rest, `"`) {
		if i = strings.IndexAny(rest, ";,"); i < 0 {
			return name, strings.TrimSpace(rest), ""
		}
		return name, strings.TrimSpace(rest[:i]), rest[i:]
	}
	var b strings.Builder
	for i = 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			return name, b.String(), rest[i+1:]
		case c == '\\' && i+1 < len(rest):
			i++
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return name, b.String(), ""
}
