package bluesky_test

import (
	"net/http"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/bluesky/bskyfake"
	"jauge.dev/jauge/collectors/collectortest"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestPlatform(t *testing.T) {
	collectortest.Run(t, collectortest.Case{
		Platform: bluesky.Platform,
		Server: func(testing.TB) http.Handler {
			f := bskyfake.New()
			f.Generate("acme.example", 230, noon, time.Hour)
			f.Generate("rival.example", 7, noon, time.Minute)
			f.Post(f.Add("small.example"), bskyfake.Post{At: noon, Text: "one"})
			return f
		},
		Handles: []string{"acme.example", "rival.example", "small.example"},
		Unknown: "nobody.example",
		Refused: []string{"@acme.example", "acme", "https://bsky.app/profile/acme.example", "did:plc:short", "a b.example"},
		Concerns: func(r *http.Request, a jauge.Account) bool {
			return r.URL.Path == "/xrpc/app.bsky.feed.getAuthorFeed" && r.URL.Query().Get("actor") == a.ID
		},
	})
}

func TestGoldens(t *testing.T) { collectortest.Goldens(t, bluesky.Platform, "", "testdata") }
