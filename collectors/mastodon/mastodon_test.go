package mastodon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

// noon is an instant of publication that tests count from.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func conformance(cfg mastofake.Config) collectortest.Case {
	return collectortest.Case{
		Platform: mastodon.Platform,
		Server: func(testing.TB) http.Handler {
			s := mastofake.New(cfg)
			for _, name := range []string{"brand", "rival"} {
				s.AddAccount(name, 1200, 80)
				for i := range 95 {
					p := mastofake.Post{
						At: noon.Add(-time.Duration(i) * time.Hour), Text: fmt.Sprintf("<p>%s %d</p>", name, i),
						Counts: mastofake.Counts{Favourites: int32(i), Replies: 1, Reblogs: 2, Quotes: 3}, //nolint:gosec // small
					}
					p.Reblog = i%10 == 3
					s.Publish(name, p)
				}
			}
			return s
		},
		Handles: []string{"@brand@mastodon.example", "@rival@mastodon.example"},
		Unknown: "@nobody@mastodon.example",
		Refused: []string{
			"brand", "@brand", "@@mastodon.example", "brand@", "@brand@mastodon example", "a b@mastodon.example",
			"https://mastodon.example/@brand", "@brand@-x.example", "@brand@mastodon.example/@x", "@br@nd@mastodon.example",
			"@brand@mastodon.example:", "@brand@mastodon..example", "brand@mastodön.example",
		},
		Concerns: func(r *http.Request, a jauge.Account) bool {
			id, _, _ := strings.Cut(a.ID, "@")
			return strings.Contains(r.URL.Path, "/accounts/"+id)
		},
	}
}

func TestPlatform(t *testing.T) {
	for name, cfg := range map[string]mastofake.Config{
		"current": {}, "4.2": {Minor: 2}, "numbers_in_quotes": {StringCounts: true, Minor: 4},
		"boosts_not_excluded": {KeepReblogs: true}, "no_link_header": {NoLink: true},
		"next_page_by_another_scheme": {LinkRoot: "http://platform.test"},
		"null_quotes":                 {NullQuotes: true},
	} {
		t.Run(name, func(t *testing.T) { collectortest.Run(t, conformance(cfg)) })
	}
}

func TestPlatformWithoutBase(t *testing.T) {
	c := conformance(mastofake.Config{})
	newOf := c.Platform.New
	c.Platform.New = func(string) collectors.Collector { return newOf("") }
	collectortest.Run(t, c)
}

func TestGoldens(t *testing.T) {
	collectortest.Goldens(t, mastodon.Platform, "", "testdata/golden")
}
