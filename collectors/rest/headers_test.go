package rest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/rest"
)

var now = time.Date(2026, 11, 21, 21, 0, 0, 0, time.UTC)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestRateLimitDialects(t *testing.T) {
	in5 := now.Add(5 * time.Minute)
	for name, tc := range map[string]struct {
		read   collectors.RateLimitFunc
		header http.Header
		want   collectors.Quota
		ok     bool
	}{
		"bluesky": {
			rest.UnixReset("RateLimit-"), header("RateLimit-Limit", "3000", "RateLimit-Remaining", "12", "RateLimit-Reset", unix(in5)),
			collectors.Quota{Limit: 3000, Remaining: 12, Reset: in5}, true,
		},
		"mastodon": {
			rest.ISOReset("X-RateLimit-"),
			header("X-RateLimit-Limit", "300", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "2026-11-21T21:05:00.846373Z"),
			collectors.Quota{Limit: 300, Reset: in5.Add(846373 * time.Microsecond)}, true,
		},
		"seconds left": {
			rest.DeltaReset("ratelimit-"), header("ratelimit-limit", "100", "ratelimit-remaining", "9", "ratelimit-reset", "41"),
			collectors.Quota{Limit: 100, Remaining: 9, Reset: now.Add(41 * time.Second)}, true,
		},
		"retry-after only": {
			rest.RetryAfterOnly(), header("Retry-After", "30"), collectors.Quota{Reset: now.Add(30 * time.Second)}, true,
		},
		"none":         {rest.UnixReset("RateLimit-"), header(), collectors.Quota{}, false},
		"no reset":     {rest.UnixReset("RateLimit-"), header("RateLimit-Remaining", "0"), collectors.Quota{}, false},
		"wrong reset":  {rest.ISOReset("X-RateLimit-"), header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "41"), collectors.Quota{}, false},
		"in the past":  {rest.UnixReset("R-"), header("R-Remaining", "0", "R-Reset", unix(now.Add(-time.Hour))), collectors.Quota{Reset: now}, true},
		"a year ahead": {rest.UnixReset("R-"), header("R-Remaining", "0", "R-Reset", unix(now.AddDate(1, 0, 0))), collectors.Quota{Reset: now.Add(24 * time.Hour)}, true},
		"milliseconds": {rest.UnixReset("R-"), header("R-Remaining", "0", "R-Reset", unix(now)+"000"), collectors.Quota{}, false},
		"negative":     {rest.DeltaReset("R-"), header("R-Remaining", "-3", "R-Reset", "1"), collectors.Quota{Reset: now.Add(time.Second)}, true},
	} {
		q, ok := tc.read(tc.header, now)
		if diff := cmp.Diff(tc.want, q); diff != "" || ok != tc.ok {
			t.Errorf("%s: ok %v (-want +got):\n%s", name, ok, diff)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for v, want := range map[string]time.Duration{
		"": -1, "0": 0, "37": 37 * time.Second, " 5 ": 5 * time.Second, "1.5": 1500 * time.Millisecond, "-1": -1, "NaN": -1,
		"Sat, 21 Nov 2026 21:00:10 GMT": 10 * time.Second, "Sat, 21 Nov 2020 21:00:10 GMT": 0, "soon": -1,
		"1e300": 24 * time.Hour, "Inf": 24 * time.Hour, "99999999": 24 * time.Hour,
	} {
		d, ok := rest.RetryAfter(header("Retry-After", v), now)
		if want < 0 && ok || want >= 0 && (!ok || d != want) {
			t.Errorf("Retry-After %q = %s, %v, want %s", v, d, ok, want)
		}
	}
}

func FuzzRateLimit(f *testing.F) {
	for _, s := range []string{"", "0", "1795294858", "2026-11-21T21:00:00.846373Z", "41", "-1", "1e400", "Sat, 21 Nov 2026 21:00:10 GMT"} {
		f.Add(s, s, s)
	}
	readers := []collectors.RateLimitFunc{
		rest.UnixReset("R-"), rest.ISOReset("R-"), rest.DeltaReset("R-"), rest.RetryAfterOnly(),
	}
	f.Fuzz(func(t *testing.T, limit, remaining, reset string) {
		h := header("R-Limit", limit, "R-Remaining", remaining, "R-Reset", reset, "Retry-After", reset)
		for i, read := range readers {
			q, ok := read(h, now)
			if !ok && q != (collectors.Quota{}) {
				t.Errorf("reader %d says nothing and gives %+v", i, q)
			}
			if ok && (q.Limit < 0 || q.Remaining < 0 || q.Reset.Before(now) || q.Reset.Sub(now) > 24*time.Hour || q.Reset.Location() != time.UTC) {
				t.Errorf("reader %d is out of bounds: %+v", i, q)
			}
		}
		if d, ok := rest.RetryAfter(h, now); d < 0 || d > 24*time.Hour || !ok && d != 0 {
			t.Errorf("RetryAfter = %s, %v", d, ok)
		}
	})
}

func TestNextLink(t *testing.T) {
	base, err := url.Parse("https://m.example/api/v1/accounts/1/statuses?limit=40")
	if err != nil {
		t.Fatal(err)
	}
	const next = "https://m.example/api/v1/accounts/1/statuses?max_id=7"
	for name, tc := range map[string]struct {
		link []string
		want string
		bad  bool
	}{
		"two":           {[]string{`<` + next + `>; rel="next", <https://m.example/x?min_id=9>; rel="prev"`}, next, false},
		"other order":   {[]string{`<https://m.example/x?min_id=9>; rel="prev", <` + next + `>; rel="next"`}, next, false},
		"two headers":   {[]string{`<https://m.example/x>; rel=prev`, `<` + next + `>; rel=next`}, next, false},
		"params":        {[]string{`<` + next + `>; title="a, \"b\"; rel=prev"; REL="Next last"`}, next, false},
		"comma in url":  {[]string{`<` + next + `,8>; rel="next"`}, next + ",8", false},
		"relative":      {[]string{`</api/v1/accounts/1/statuses?max_id=7>; rel="next"`}, next, false},
		"none":          {nil, "", false},
		"only prev":     {[]string{`<https://m.example/x>; rel="prev"`}, "", false},
		"garbage":       {[]string{`rel="next"`, `<`, `<>`, `;;;`, `<x`}, "", false},
		"another host":  {[]string{`<https://evil.example/x>; rel="next"`}, "", true},
		"another port":  {[]string{`<https://m.example:444/x>; rel="next"`}, "", true},
		"plain http":    {[]string{`<http://m.example/x>; rel="next"`}, "", true},
		"with a user":   {[]string{`<https://me:pw@m.example/x>; rel="next"`}, "", true},
		"host in path":  {[]string{`<//evil.example/x>; rel="next"`}, "", true},
		"malformed url": {[]string{`<https://m.example/%zz>; rel="next"`}, "", true},
	} {
		got, ok, err := rest.NextLink(http.Header{"Link": tc.link}, base)
		if got != tc.want || ok != (tc.want != "") || (err != nil) != tc.bad {
			t.Errorf("%s: %q, %v, %v", name, got, ok, err)
		}
		if tc.bad && jauge.ReasonOf(err) != jauge.ReasonDecode {
			t.Errorf("%s: reason of %v", name, err)
		}
	}
}

func FuzzNextLink(f *testing.F) {
	f.Add(`<https://m.example/a?b=c>; rel="next", <x>; rel=prev`)
	f.Add(`<a>;rel="\"next`)
	f.Add(`<//evil>;=;,;rel=next`)
	base, err := url.Parse("https://m.example/a")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		next, ok, err := rest.NextLink(header("Link", line), base)
		if ok != (next != "") || err != nil && ok {
			t.Errorf("%q, %v, %v", next, ok, err)
		}
		if ok && !strings.HasPrefix(next, "https://m.example") {
			t.Errorf("leads away: %q", next)
		}
	})
}
