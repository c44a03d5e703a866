package mastodon_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/mastodon"
)

func TestDecodeIsTolerant(t *testing.T) {
	obs, err := mastodon.DecodePage([]byte(`[
		null, 5, "x", {"id":7},
		{"id":"109440145478329198","created_at":"2026-11-20T19:48:14.825+01:00","favourites_count":"5","reblogs_count":null,
		 "replies_count":"many","quotes_count":-1,"media_attachments":{},"account":"me","language":3,"content":["x"],"url":"javascript:1","uri":null},
		{"id":109440145478329199,"created_at":"2026-11-20T19:48:14Z","replies_count":0,"favourites_count":1e3,"reblogs_count":1.5,"quotes_count":""}
	]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []jauge.Observation{
		{
			Object: jauge.ObjectPost, ID: "109440145478329198", Period: jauge.PeriodLifetime, PostState: jauge.PostLive,
			Values: []jauge.WireValue{{Wire: "favourites_count", Value: 5}},
			Post:   &jauge.Post{PublishedAt: time.Date(2026, 11, 20, 18, 48, 14, 825e6, time.UTC), Format: jauge.FormatText},
		},
		{
			Object: jauge.ObjectPost, ID: "109440145478329199", Period: jauge.PeriodLifetime, PostState: jauge.PostLive,
			Values: []jauge.WireValue{{Wire: "favourites_count", Value: 1000}, {Wire: "replies_count", Value: 0}},
			Post:   &jauge.Post{PublishedAt: time.Date(2026, 11, 20, 19, 48, 14, 0, time.UTC), Format: jauge.FormatText},
		},
	}
	if diff := cmp.Diff(want, obs); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{"error":"x"}`, `"x"`, `5`, `[{"id":"1"}`, `<html>`, ``} {
		if _, err := mastodon.DecodePage([]byte(bad)); err == nil {
			t.Errorf("DecodePage(%s) = nil, want an error", bad)
		}
	}
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("é", 200)
	for in, want := range map[string]string{
		"":                        "",
		"plain":                   "plain",
		"<p>a</p>":                "a",
		"<p>a<br>b</p>":           "a b",
		"<p>a<br />b</p><p>c</p>": "a b c",
		`<p><span class="h-card"><a href="https://x.example/@b">@<span>b</span></a></span> hi</p>`: "@b hi",
		"&lt;b&gt; &amp; &quot;q&quot; &#39;s&#39;":                                                `<b> & "q" 's'`,
		"a\n\t  b\u00a0c": "a b c",
		"a<script>alert('x')</script>b<style>p{}</style>c": "abc",
		"<script></script>x":  "x",
		"<!-- no -->yes":      "yes",
		"a < b":               "a < b",
		"1 &amp;lt; 2":        "1 &lt; 2",
		"<p>" + long + "</p>": long[:2*jauge.ExcerptRunes],
		strings.Repeat("x", jauge.ExcerptRunes-1) + " y": strings.Repeat("x", jauge.ExcerptRunes-1),
		"a\x00b\u202ec": "ab\u202ec",
	} {
		if got := mastodon.Excerpt(in); got != want {
			t.Errorf("Excerpt(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	for _, s := range []string{
		"", "<p>a</p>", "&amp;&#x1F600;", "<script>x", "<a href='>'>y</a>", "\xff\xfe", "<p", "&#0;&#xd800;", "<![CDATA[x]]>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\ufffd") // as encoding/json hands it on
		got := mastodon.Excerpt(s)
		switch {
		case !utf8.ValidString(got):
			t.Errorf("%q is no UTF-8", got)
		case utf8.RuneCountInString(got) > jauge.ExcerptRunes:
			t.Errorf("%q is too long", got)
		case strings.TrimFunc(got, unicode.IsSpace) != got, strings.Contains(got, "  "):
			t.Errorf("%q has blanks to spare", got)
		case strings.ContainsFunc(got, unicode.IsControl):
			t.Errorf("%q has control characters", got)
		case !strings.ContainsAny(s, "<&") && utf8.RuneCountInString(s) < jauge.ExcerptRunes && !strings.ContainsFunc(s, unicode.IsControl) &&
			strings.Join(strings.Fields(s), " ") != got:
			t.Errorf("plain text %q became %q", s, got)
		}
	})
}

func FuzzDecodePage(f *testing.F) {
	for _, s := range []string{
		`[]`, `[{"id":"1","created_at":"2026-11-20T19:48:14.825Z","favourites_count":5,"content":"<p>x</p>"}]`, `[null,1,{}]`,
		`[{"id":109440145478329199,"created_at":"2026-11-20T19:48:14Z","media_attachments":[null,{"type":5}]}]`, `{"error":"x"}`,
		`[{"id":"1","created_at":"2026-11-20T19:48:14Z","reblogs_count":"NaN","replies_count":"1e400","quotes_count":"0x1p3"}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		obs, err := mastodon.DecodePage(b)
		if err != nil {
			return
		}
		for _, o := range obs {
			if o.ID == "" || o.Post == nil || o.Post.Format == "" || o.Post.PublishedAt.Location() != time.UTC || o.Values == nil {
				t.Errorf("observation %+v", o)
			}
			for _, v := range o.Values {
				if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || v.Value < 0 {
					t.Errorf("value %+v", v)
				}
			}
			if p := o.Post.Permalink; p != "" && !strings.HasPrefix(p, "http") {
				t.Errorf("permalink %q", p)
			}
		}
	})
}

func FuzzCheckHandle(f *testing.F) {
	for _, s := range []string{"", "@brand@mastodon.example", "brand@m.example:3000", "a@b", "https://m.example/@b", "@@", "\xff@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := mastodon.Platform.CheckHandle(s); err == nil {
			_, host, ok := strings.Cut(strings.TrimPrefix(s, "@"), "@")
			if !ok || strings.ContainsAny(host, "/?#@ \\%[]") {
				t.Errorf("%q is accepted", s)
			}
		} else if !strings.Contains(err.Error(), "@") {
			t.Errorf("%q: error without an example: %v", s, err)
		}
	})
}
