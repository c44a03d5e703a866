//go:build integration

package influx_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/influx"
	"jauge.dev/jauge/storage/storagetest"
)

// server is the InfluxDB of the environment; without one the tests fail.
func server(t testing.TB) influx.Config {
	t.Helper()
	cfg := influx.Config{
		URL: os.Getenv("JAUGE_INFLUX_URL"), Token: jauge.Secret(os.Getenv("JAUGE_INFLUX_TOKEN")), Org: os.Getenv("JAUGE_INFLUX_ORG"),
	}
	if cfg.URL == "" || cfg.Token == "" || cfg.Org == "" {
		t.Fatal("JAUGE_INFLUX_URL, JAUGE_INFLUX_TOKEN and JAUGE_INFLUX_ORG must name a running InfluxDB 2.x")
	}
	// A bucket of its own for each test.
	cfg.Bucket = fmt.Sprintf("test %s %08x", strings.NewReplacer("/", " ").Replace(t.Name()), rand.Uint32()) //nolint:gosec // a name
	t.Cleanup(func() {
		drop(t, cfg, cfg.Bucket)
		drop(t, cfg, cfg.Bucket+"_history")
	})
	return cfg
}

func open(t testing.TB, cfg influx.Config) *influx.Store {
	t.Helper()
	s, err := influx.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ask calls the server's API as a test does; it gives status and body.
func ask(t testing.TB, cfg influx.Config, method, path string, params url.Values, body any) (int, []byte) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := body.(string); ok {
		text = []byte(s)
	}
	// Cleanups run when the test's context has ended.
	req, err := http.NewRequest(method, cfg.URL+path+"?"+params.Encode(), bytes.NewReader(text)) //nolint:noctx // see above
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token "+cfg.Token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

type found struct {
	ID             string
	RetentionRules []struct {
		EverySeconds, ShardGroupDurationSeconds int64
	}
}

func lookup(t testing.TB, cfg influx.Config, name string) *found {
	t.Helper()
	_, body := ask(t, cfg, http.MethodGet, "/api/v2/buckets", url.Values{"org": {cfg.Org}, "name": {name}}, nil)
	var answer struct{ Buckets []found }
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Buckets) == 0 {
		return nil
	}
	return &answer.Buckets[0]
}

func drop(t testing.TB, cfg influx.Config, name string) {
	t.Helper()
	if b := lookup(t, cfg, name); b != nil {
		if status, body := ask(t, cfg, http.MethodDelete, "/api/v2/buckets/"+b.ID, nil, nil); status != http.StatusNoContent {
			t.Errorf("drop %s: %d %s", name, status, body)
		}
	}
}

func TestIntegrationContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Store { return open(t, server(t)) })
}

// TestIntegrationSmallBatches runs the contract with small batches, so that every call makes several.
func TestIntegrationSmallBatches(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Store {
		cfg := server(t)
		cfg.BatchRows, cfg.Concurrency = 97, 4
		return open(t, cfg)
	})
}
