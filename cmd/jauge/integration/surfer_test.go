//go:build integration

package integration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// surfer is a browser without eyes: it keeps cookies, follows redirects and fills in forms as a browser would, and every
// step can be looked at or tampered with.
type surfer struct {
	t      *testing.T
	client *http.Client
	names  map[string]string // what host:port is reached where, in place of DNS
	header http.Header       // goes with every request
	seen   []*sheet          // every answer, oldest first
	stop   func(*url.URL) bool
}

// sheet is an answer, and what it shows.
type sheet struct {
	address *url.URL
	status  int
	header  http.Header
	body    string
}

// surf makes a browser with no cookies.
func surf(t *testing.T) *surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &surfer{t: t, names: map[string]string{}, header: http.Header{}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own certificate
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if to, ok := s.names[address]; ok {
				address = to
			}
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{
		Jar: jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// step does one request and follows nothing.
func (s *surfer) step(method, address string, form url.Values, header http.Header) (*sheet, error) {
	var body io.Reader = http.NoBody
	if form != nil && method != http.MethodGet {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Accept-Language", "en")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(req.Header, s.header)
	maps.Copy(req.Header, header)
	if h := req.Header.Get("Host"); h != "" {
		req.Host = h
		req.Header.Del("Host")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	p := &sheet{address: req.URL, status: res.StatusCode, header: res.Header, body: string(text)}
	s.seen = append(s.seen, p)
	return p, nil
}

// must does one request that is answered, whatever the status.
func (s *surfer) must(method, address string, form url.Values, header http.Header) *sheet {
	s.t.Helper()
	p, err := s.step(method, address, form, header)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// navigation is what a browser says of a click on a link of another site, or of an address that was typed.
func navigation(site string) http.Header {
	return http.Header{"Sec-Fetch-Site": {site}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-User": {"?1"}}
}

// visit opens an address and goes where it is sent. It stops before an address that stop names.
func (s *surfer) visit(address string) *sheet {
	s.t.Helper()
	return s.follow(s.must(http.MethodGet, address, nil, navigation("none")))
}

func (s *surfer) follow(p *sheet) *sheet {
	s.t.Helper()
	for range 20 {
		where := p.header.Get("Location")
		if p.status < 300 || p.status > 399 {
			// A page that leads on by itself.
			delay, to, ok := strings.Cut(p.header.Get("Refresh"), ";")
			if !ok || strings.TrimSpace(delay) != "0" {
				return p
			}
			where = strings.TrimPrefix(strings.TrimSpace(to), "url=")
		}
		if where == "" {
			return p
		}
		next, err := p.address.Parse(where)
		if err != nil {
			s.t.Fatalf("redirect to %q: %v", where, err)
		}
		if s.stop != nil && s.stop(next) {
			return &sheet{address: next}
		}
		site := "cross-site"
		if next.Host == p.address.Host {
			site = "same-origin"
		}
		q, err := s.step(http.MethodGet, next.String(), nil, navigation(site))
		if err != nil {
			if errors.Is(err, context.Canceled) {
				s.t.Fatal(err)
			}
			s.t.Fatalf("after %s: %v", p.address.Redacted(), err)
		}
		p = q
	}
	s.t.Fatalf("more than 20 redirects, at last to %s", p.address)
	return nil
}

// submit sends a form of a page, with some fields filled in, and follows.
func (s *surfer) submit(p *sheet, f form, fill url.Values) *sheet {
	s.t.Helper()
	fields := maps.Clone(f.fields)
	maps.Copy(fields, fill)
	to, err := p.address.Parse(f.action)
	if err != nil {
		s.t.Fatal(err)
	}
	h := navigation("same-origin")
	h.Set("Origin", p.address.Scheme+"://"+p.address.Host)
	h.Set("Referer", p.address.String())
	if f.method == http.MethodGet {
		to.RawQuery = fields.Encode()
		return s.follow(s.must(http.MethodGet, to.String(), nil, h))
	}
	return s.follow(s.must(http.MethodPost, to.String(), fields, h))
}

// form is a form of a page with the values that it has before anybody touches it.
type form struct {
	action, method, text string
	fields               url.Values
	buttons              []url.Values // by which it can be sent, where they have a name
	inputs               map[string]string
}

// forms finds the forms of a page.
func (p *sheet) forms() []form {
	var out []form
	p.each(func(n *html.Node) {
		if n.Data == "form" {
			out = append(out, formOf(n))
		}
	})
	return out
}

func formOf(n *html.Node) form {
	f := form{action: attr(n, "action"), method: strings.ToUpper(attr(n, "method")), text: textOf(n), fields: url.Values{}, inputs: map[string]string{}}
	if f.method == "" {
		f.method = http.MethodGet
	}
	walk(n, func(in *html.Node) {
		name := attr(in, "name")
		switch {
		case in.Data == "button" && (attr(in, "type") == "" || attr(in, "type") == "submit"), in.Data == "input" && attr(in, "type") == "submit":
			if name != "" {
				f.buttons = append(f.buttons, url.Values{name: {attr(in, "value")}})
			}
		case in.Data == "select" && name != "":
			f.inputs[name] = "select"
			walk(in, func(o *html.Node) {
				if o.Data == "option" && (has(o, "selected") || f.fields.Get(name) == "") {
					f.fields.Set(name, attr(o, "value"))
				}
			})
		case (in.Data == "input" || in.Data == "textarea") && name != "":
			kind := attr(in, "type")
			f.inputs[name] = kind
			if (kind == "checkbox" || kind == "radio") && !has(in, "checked") {
				return
			}
			f.fields.Add(name, attr(in, "value"))
		}
	})
	return f
}

// form finds the form whose action ends with a text; the test fails without one.
func (s *surfer) form(p *sheet, action string) form {
	s.t.Helper()
	for _, f := range p.forms() {
		u, err := p.address.Parse(f.action)
		if err == nil && strings.HasSuffix(u.Path, action) {
			return f
		}
	}
	s.t.Fatalf("%s (HTTP %d) has no form to %s; it shows: %s", p.address, p.status, action, p.text())
	return form{}
}

// text is what a page shows.
func (p *sheet) text() string {
	var b strings.Builder
	p.each(func(n *html.Node) {
		if n.Data == "body" {
			b.WriteString(textOf(n))
		}
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// heading is the page's first heading.
func (p *sheet) heading() string {
	var out string
	p.each(func(n *html.Node) {
		if out == "" && n.Data == "h1" {
			out = strings.Join(strings.Fields(textOf(n)), " ")
		}
	})
	return out
}

func (p *sheet) each(f func(*html.Node)) {
	doc, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		return // html.Parse fails only where its reader does
	}
	walk(doc, f)
}

// walk visits the elements beneath a node.
func walk(n *html.Node, f func(*html.Node)) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode {
			f(c)
		}
	}
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && c.Parent.Data != "script" && c.Parent.Data != "style" {
			b.WriteString(c.Data + " ")
		}
	}
	return b.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// consent goes through the pages of the authorization server as the user who is named, from the page that it shows to
// where it sends the browser in the end.
func (s *surfer) consent(i *issuer, p *sheet, user string) *sheet {
	s.t.Helper()
	for range 4 {
		if p.address.Host != i.AuthorizeHost || p.status != http.StatusOK {
			return p
		}
		f := p.forms()
		if len(f) == 0 {
			return p
		}
		fill := url.Values{}
		if f[0].fields.Get("prompt") == "login" {
			fill = url.Values{"login": {user}, "password": {"password-of-" + user}}
		}
		p = s.submit(p, f[0], fill)
	}
	s.t.Fatalf("the authorization server asks again and again: %s", p.text())
	return nil
}

// deny goes to the consent page and cancels.
func (s *surfer) deny(i *issuer, p *sheet, user string) *sheet {
	s.t.Helper()
	f := p.forms()
	if len(f) > 0 && f[0].fields.Get("prompt") == "login" {
		p = s.submit(p, f[0], url.Values{"login": {user}, "password": {"password-of-" + user}})
	}
	var cancel string
	p.each(func(n *html.Node) {
		if n.Data == "a" && strings.HasSuffix(attr(n, "href"), "/abort") {
			cancel = attr(n, "href")
		}
	})
	if cancel == "" {
		s.t.Fatalf("the authorization server at %s shows no way to cancel: %s", i.Issuer, p.text())
	}
	return s.follow(s.must(http.MethodGet, cancel, nil, navigation("same-origin")))
}
