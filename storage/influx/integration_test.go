//go:build integration

package influx_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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

func retention(t *testing.T, cfg influx.Config, name string) (every, shard int64) {
	t.Helper()
	b := lookup(t, cfg, name)
	if b == nil || len(b.RetentionRules) != 1 {
		t.Fatalf("bucket %s: %+v", name, b)
	}
	return b.RetentionRules[0].EverySeconds, b.RetentionRules[0].ShardGroupDurationSeconds
}

func TestIntegrationBuckets(t *testing.T) {
	cfg := server(t)
	s := open(t, cfg)
	if err := errors.Join(s.Open(t.Context()), s.Ping(t.Context())); err != nil {
		t.Fatal(err)
	}
	if every, shard := retention(t, cfg, cfg.Bucket); every != 0 || shard != 31536000 {
		t.Errorf("main bucket: retention %d s, shards %d s", every, shard)
	}
	if every, shard := retention(t, cfg, cfg.Bucket+"_history"); every != 7776000 || shard != 604800 {
		t.Errorf("history bucket: retention %d s, shards %d s", every, shard)
	}
	again := open(t, cfg)
	if err := again.Open(t.Context()); err != nil {
		t.Errorf("a second store on the same buckets: %v", err)
	}
	status, body := ask(t, cfg, http.MethodPost, "/api/v2/write", url.Values{"org": {cfg.Org}, "bucket": {cfg.Bucket}},
		fmt.Sprintf("jauge_schema version=%di", jauge.SchemaVersion+1))
	if status != http.StatusNoContent {
		t.Fatalf("write a newer version: %d %s", status, body)
	}
	if err := open(t, cfg).Open(t.Context()); err == nil || !strings.Contains(err.Error(), "newer jauge") {
		t.Errorf("open a bucket of a newer version: %v", err)
	}
}

func TestIntegrationRefusedRows(t *testing.T) {
	cfg := server(t)
	s := open(t, cfg)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Somebody else has made likes a text, in the shard of that year.
	tags := []string{"acme", "bluesky", "did:a", "text"}
	at := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	status, body := ask(t, cfg, http.MethodPost, "/api/v2/write", url.Values{"org": {cfg.Org}, "bucket": {cfg.Bucket}},
		fmt.Sprintf("social_post_daily,brand=acme likes=\"many\" %d", at.UnixNano()))
	if status != http.StatusNoContent {
		t.Fatalf("write a text: %d %s", status, body)
	}
	var rows []jauge.Record
	for i := range 300 {
		field := "comments"
		if i == 7 || i == 8 || i == 299 {
			field = "likes"
		}
		rows = append(rows, storagetest.Row(jauge.SocialPostDaily, at.Add(time.Duration(i)), tags, field, i))
	}
	for i := range 100 {
		age := time.Duration(i%2) * 91 * 24 * time.Hour
		rows = append(rows, storagetest.Row(jauge.SocialPostHistory, time.Now().Add(-age), []string{"acme", "bluesky", fmt.Sprint(i)}, "likes", i))
	}
	err := s.Write(t.Context(), rows)
	refused, ok := errors.AsType[*jauge.RejectedError](err)
	if !ok || len(refused.Rows) != 53 {
		t.Fatalf("write: %v, want 3 and 50 rows refused", err)
	}
	conflicts, old := 0, 0
	for i, why := range refused.Reasons {
		switch m := refused.Rows[i].Schema.Measurement; {
		case m == jauge.SocialPostDaily && strings.Contains(why, "type conflict"):
			conflicts++
		case m == jauge.SocialPostHistory && strings.Contains(why, "retention"):
			old++
		default:
			t.Errorf("%s: %s", m, why)
		}
	}
	if conflicts != 3 || old != 50 {
		t.Errorf("%d rows of another type and %d too old, want 3 and 50", conflicts, old)
	}
	for m, want := range map[jauge.Measurement]int{jauge.SocialPostDaily: 297, jauge.SocialPostHistory: 50} {
		q := jauge.Query{Measurement: m} // the text is not among them
		if got, err := storagetest.Collect(t.Context(), s, q); err != nil || len(got) != want {
			t.Errorf("%d rows of %s, want %d: %v", len(got), m, want, err)
		}
	}
}

func TestIntegrationBucketGoneMidway(t *testing.T) {
	cfg := server(t)
	s := open(t, cfg)
	row := storagetest.Row(jauge.SocialKPI, time.Now(), []string{"acme", "bluesky", "did:a", "likes", "day"}, "value", 1)
	if err := s.Write(t.Context(), []jauge.Record{row}); err != nil {
		t.Fatal(err)
	}
	drop(t, cfg, cfg.Bucket)
	if err := s.Write(t.Context(), []jauge.Record{row}); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("write into a bucket that is gone: %v", err)
	}
	if err := s.Write(t.Context(), []jauge.Record{row}); err != nil {
		t.Errorf("the next write: %v", err)
	}
	drop(t, cfg, cfg.Bucket)
	q := jauge.Query{Measurement: jauge.SocialKPI}
	if _, err := storagetest.Collect(t.Context(), s, q); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("read from a bucket that is gone: %v", err)
	}
	if rows, err := storagetest.Collect(t.Context(), s, q); err != nil || len(rows) != 0 {
		t.Errorf("the next read: %d rows, %v", len(rows), err)
	}
}

// TestIntegrationRights uses a token that may read, but make and write nothing.
func TestIntegrationRights(t *testing.T) {
	cfg := server(t)
	_, body := ask(t, cfg, http.MethodGet, "/api/v2/orgs", url.Values{"org": {cfg.Org}}, nil)
	var orgs struct{ Orgs []struct{ ID string } }
	if err := json.Unmarshal(body, &orgs); err != nil || len(orgs.Orgs) != 1 {
		t.Fatalf("orgs: %s", body)
	}
	var rights []any
	for _, kind := range []string{"orgs", "buckets"} {
		resource := map[string]string{"type": kind, "orgID": orgs.Orgs[0].ID}
		rights = append(rights, map[string]any{"action": "read", "resource": resource})
	}
	status, body := ask(t, cfg, http.MethodPost, "/api/v2/authorizations", nil,
		map[string]any{"orgID": orgs.Orgs[0].ID, "permissions": rights})
	var made struct{ ID, Token string }
	if err := json.Unmarshal(body, &made); err != nil || status != http.StatusCreated {
		t.Fatalf("make a token: %d %s", status, body)
	}
	t.Cleanup(func() { ask(t, cfg, http.MethodDelete, "/api/v2/authorizations/"+made.ID, nil, nil) })
	narrow := cfg
	narrow.Token = jauge.Secret(made.Token)
	err := open(t, narrow).Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "influx bucket create") || strings.Contains(err.Error(), made.Token) {
		t.Errorf("open with a token that may not make buckets: %v", err)
	}
	if err := open(t, cfg).Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	row := storagetest.Row(jauge.SocialKPI, time.Now(), []string{"acme", "bluesky", "did:a", "likes", "day"}, "value", 1)
	err = open(t, narrow).Write(t.Context(), []jauge.Record{row})
	if _, refused := errors.AsType[*jauge.RejectedError](err); err == nil || refused {
		t.Errorf("write with a token that may not: %v", err)
	}
}

// TestIntegrationCardinality counts series with few and with many posts: their number must not grow with posts.
func TestIntegrationCardinality(t *testing.T) {
	var counts []string
	for _, posts := range []int{10, 10_000} {
		cfg := server(t)
		s := open(t, cfg)
		var rows []jauge.Record
		base := time.Now().UTC().Truncate(time.Hour)
		for i := range posts {
			format := []string{"text", "image", "video"}[i%3]
			id := fmt.Sprintf("at://did:a/app.bsky.feed.post/%08d", i)
			at := base.Add(-time.Duration(i) * time.Minute).Add(time.Duration(i))
			rows = append(rows,
				storagetest.Row(jauge.SocialPost, at, []string{"acme", "bluesky", "did:a", format}, "post_id", id, "likes", i, "state", "live"),
				storagetest.Row(jauge.SocialPostHistory, at, []string{"acme", "bluesky", "did:a"}, "post_id", id, "likes", i, "state", "live"))
		}
		if err := s.Write(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, cardinality(t, cfg, cfg.Bucket)+" and "+cardinality(t, cfg, cfg.Bucket+"_history"))
	}
	t.Logf("series in the main and the history bucket with 10 posts: %s; with 10,000: %s", counts[0], counts[1])
	if counts[0] != counts[1] {
		t.Error("the number of series grows with posts")
	}
}

func cardinality(t *testing.T, cfg influx.Config, bucket string) string {
	t.Helper()
	status, body := ask(t, cfg, http.MethodPost, "/api/v2/query", url.Values{"org": {cfg.Org}}, map[string]string{
		"query": fmt.Sprintf("import \"influxdata/influxdb\"\ninfluxdb.cardinality(bucket: %q, start: 2000-01-01T00:00:00Z)", bucket),
		"type":  "flux",
	})
	// A line of CSV ends with the number.
	text := strings.TrimSpace(string(body))
	last := text[strings.LastIndexByte(text, ',')+1:]
	if n, err := strconv.Atoi(last); status != http.StatusOK || err != nil || n == 0 {
		t.Fatalf("cardinality: %d %s", status, body)
	}
	return last
}
