package pages_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"jauge.dev/jauge/internal/web/pages"
)

// visitor is a browser without a window: it keeps cookies as their flags say, and fills in forms.
type visitor struct {
	t       *testing.T
	site    http.Handler
	home    string // "https://jauge.example"
	from    string // its address as the site sees it
	cookies map[string]*http.Cookie
	header  http.Header
}

func visit(t *testing.T, site http.Handler, home string) *visitor {
	return &visitor{t: t, site: site, home: home, from: "192.0.2.1:5000", cookies: map[string]*http.Cookie{}, header: http.Header{}}
}

// do sends a request and keeps the cookies of its answer.
func (v *visitor) do(r *http.Request) *http.Response {
	v.t.Helper()
	r.RemoteAddr = v.from
	for k, vs := range v.header {
		r.Header[k] = vs
	}
	for _, c := range v.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c
		}
	}
	return resp
}

func (v *visitor) address(path string) string {
	if strings.HasPrefix(path, "http") {
		return path
	}
	return v.home + path
}

func (v *visitor) get(path string) *http.Response {
	v.t.Helper()
	return v.do(httptest.NewRequestWithContext(v.t.Context(), http.MethodGet, v.address(path), nil))
}

func (v *visitor) post(path string, form url.Values) *http.Response {
	v.t.Helper()
	r := httptest.NewRequestWithContext(v.t.Context(), http.MethodPost, v.address(path), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

// form reads the fields of the form on a page that goes to an address.
func (v *visitor) form(page, action string) url.Values {
	v.t.Helper()
	root := parse(v.t, v.get(page))
	for n := range root.Descendants() {
		if n.Data != "form" || attr(n, "action") != action {
			continue
		}
		f := url.Values{}
		for i := range n.Descendants() {
			if i.Data == "input" && attr(i, "name") != "" && (attr(i, "type") != "checkbox" || has(i, "checked")) {
				f.Add(attr(i, "name"), attr(i, "value"))
			}
		}
		return f
	}
	v.t.Fatalf("%s has no form to %s", page, action)
	return nil
}

// login logs in and goes on to where that leads.
func (v *visitor) login(word, to string) *http.Response {
	v.t.Helper()
	f := v.form("/login?"+url.Values{"to": {to}}.Encode(), "/login")
	f.Set("password", word)
	return v.post("/login", f)
}

func parse(t *testing.T, r *http.Response) *html.Node {
	t.Helper()
	root, err := html.Parse(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return root
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
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// text is what a reader sees.
func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// kind is which problem a page tells of, "" where it tells of none.
func kind(root *html.Node) string {
	for n := range root.Descendants() {
		if n.Data == "p" && strings.HasPrefix(attr(n, "class"), "code") {
			_, k, _ := strings.Cut(text(n), " · ")
			return k
		}
	}
	return ""
}

// guarded has a password and is reached from elsewhere.
func guarded() pages.Config {
	return pages.Config{Public: public(), Listen: "0.0.0.0:8080", AdminHash: cheap, SessionKey: key(), TrustedProxies: proxies()}
}
