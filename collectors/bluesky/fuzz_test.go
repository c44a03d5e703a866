package bluesky_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/collectortest"
)

// FuzzFeed answers a listing with anything: what comes out keeps the contract, or is an error.
func FuzzFeed(f *testing.F) {
	const did = "did:plc:aaaabbbbccccddddeeeeffff"
	files, err := filepath.Glob("testdata/*/responses/*feed*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file) //nolint:gosec // the package's own test data
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := strings.Cut(string(b), `"body":`)
		f.Add(strings.TrimSuffix(strings.TrimSpace(body), "}"))
	}
	f.Add(`{"feed":[{"post":{"uri":"at://x","author":{"did":"` + did + `"},"record":{"text":7,"langs":"en"},"likeCount":1e999,"indexedAt":"2026-01-01T00:00:00Z"}}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, methodFeed) {
				_, _ = io.WriteString(w, body)
				return
			}
			_, _ = io.WriteString(w, `{"profiles":[{"did":"`+did+`","handle":"acme.example"}]}`)
		})
		sink, targets := &collectortest.Sink{}, []collectors.Target{target(did)}
		results, err := bluesky.Platform.New("").Collect(t.Context(), collectors.Request{
			Task: collectors.TaskRefresh, Targets: targets, HTTP: collectortest.Client(t, bluesky.Platform, h),
		}, sink.Emit)
		if err != nil {
			t.Fatal(err)
		}
		collectortest.CheckPages(t, bluesky.Platform, targets, sink.Pages)
		collectortest.CheckResults(t, targets, results)
		if e := results[0].Err; e != nil && jauge.ReasonOf(e) != jauge.ReasonDecode {
			t.Errorf("reason of %v", e)
		}
	})
}
