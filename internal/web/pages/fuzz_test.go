package pages_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

// FuzzReturnTo: whatever the login is told to return to, a browser that resolves it stays at our host, on a page.
func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"/accounts?show=paused", "//evil.example", "/\\evil", "/%2f/evil", "https://evil.example", "/grants/G/choose", "/accounts/remove?account=x/44", "/\t/evil", "/connect/%2e%2e//x", "/é"} {
		f.Add(s)
	}
	s, err := pages.New(open(), pagestest.New(), pages.Deps{})
	if err != nil {
		f.Fatal(err)
	}
	base := &url.URL{Scheme: "http", Host: "127.0.0.1:8080", Path: "/login/check"}
	f.Fuzz(func(t *testing.T, to string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, base.String()+"?"+url.Values{"to": {to}}.Encode(), nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusRequestURITooLong && len(to) > 1024 {
			return
		}
		got := w.Header().Get("Location")
		// As browsers read it: tabs and line ends are left out, a backslash is a slash.
		asRead := strings.NewReplacer("\t", "", "\r", "", "\n", "", "\\", "/").Replace(got)
		u, err := base.Parse(asRead)
		if err != nil || w.Code != http.StatusSeeOther {
			t.Fatalf("%q leads to %q (%d, %v)", to, got, w.Code, err)
		}
		if u.Host != base.Host || u.Scheme != base.Scheme || !strings.HasPrefix(asRead, "/") || strings.HasPrefix(asRead, "//") || strings.HasPrefix(u.Path, "//") {
			t.Errorf("%q leads to %q: %s", to, got, u)
		}
		if strings.HasPrefix(u.Path, "/log") || strings.HasPrefix(u.Path, "/oauth") {
			t.Errorf("%q leads to %q, which is no page to return to", to, got)
		}
	})
}

// FuzzCallback: whatever comes back, the answer is a page of ours, with nothing of it in the markup, and leads to a
// grant where the state is the one that was issued and to nothing else.
func FuzzCallback(f *testing.F) {
	for _, q := range []string{"state=state-x&code=good", "state=state-x&error=access_denied", "code=good", "state=a&state=state-x&code=good", "%zz", "state=%00", "state=<script>x", "a;b=c", "=&=&="} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		b := pagestest.New()
		s := server(t, open(), b, pages.Deps{})
		v := visit(t, s, local)
		state := v.begin("x", "").Query().Get("state")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, local+"/oauth/callback", nil)
		r.URL.RawQuery = query
		resp := v.do(r)
		body := all(t, resp)
		if strings.Contains(body, "<script") || !strings.Contains(body, "</html>") {
			t.Errorf("%q gave\n%s", query, body)
		}
		q, err := url.ParseQuery(query)
		good := err == nil && q.Get("state") == state && q.Get("code") == "good" && q.Get("error") == ""
		if onward := resp.Header.Get("Refresh"); onward != "" && (!good || onward != "0; url=/grants/01JX/choose") {
			t.Errorf("%q leads to %q", query, onward)
		}
		if resp.StatusCode >= 500 || resp.StatusCode == http.StatusOK && !good {
			t.Errorf("%q gave %d", query, resp.StatusCode)
		}
	})
}

// FuzzCookies: no value of a cookie lets anybody in, or breaks a page.
func FuzzCookies(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("MTc2", strings.Repeat("A", 22), "")
	s, err := pages.New(guarded(), backend(), pages.Deps{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, session, visitor, connect string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, home+"/accounts", nil)
		r.Header.Set("Cookie", "__Host-jauge="+session+"; __Host-jauge-visitor="+visitor+"; __Host-jauge-connect="+connect)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther {
			t.Errorf("made-up cookies gave %d", w.Code)
		}
	})
}
