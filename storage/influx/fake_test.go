package influx_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/influx"
	"jauge.dev/jauge/storage/storagetest"
)

const token = "a-token-that-nobody-may-see"

// fake answers as InfluxDB 2.7 does, as far as the store asks: buckets, writes, and a /query that knows the schema's
// version alone. refuse judges each write.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	buckets map[string]string // name -> its JSON
	version string            // JSON of the answer to every query
	lines   map[string]bool   // stored, by bucket and line
	writes  int
	gzipped int
	refuse  func(lines []string) (status int, body string, header map[string]string)
	deny    map[string]int // "METHOD path" -> status
}

const noRows = `{"results":[{"statement_id":0}]}`

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{buckets: map[string]string{}, lines: map[string]bool{}, version: noRows, deny: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	say := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	if status, ok := f.deny[r.Method+" "+r.URL.Path]; ok {
		say(status, `{"code":"some code","message":"denied"}`)
		return
	}
	if r.Header.Get("Authorization") != "Token "+token {
		say(http.StatusUnauthorized, `{"code":"unauthorized","message":"Unauthorized"}`)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v2/buckets":
		if b, ok := f.buckets[r.FormValue("name")]; ok {
			say(http.StatusOK, `{"buckets":[`+b+`]}`)
			return
		}
		say(http.StatusNotFound, `{"code":"not found","message":"bucket not found"}`)
	case "GET /api/v2/orgs":
		say(http.StatusOK, `{"orgs":[{"id":"0123","name":"org"}]}`)
	case "POST /api/v2/buckets":
		body, _ := io.ReadAll(r.Body)
		var b struct{ Name string }
		_ = json.Unmarshal(body, &b)
		f.buckets[b.Name] = string(body)
		say(http.StatusCreated, string(body))
	case "POST /query":
		say(http.StatusOK, f.version)
	case "POST /api/v2/delete":
		w.WriteHeader(http.StatusNoContent)
	case "POST /api/v2/write":
		f.write(w, r, say)
	default:
		say(http.StatusNotFound, "404 page not found")
	}
}

func (f *fake) write(w http.ResponseWriter, r *http.Request, say func(int, string)) {
	bucket := r.FormValue("bucket")
	if _, ok := f.buckets[bucket]; !ok {
		say(http.StatusNotFound, `{"code":"not found","message":"bucket \"b\" not found"}`)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		f.gzipped++
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			say(http.StatusBadRequest, `{"code":"invalid","message":"gzip: invalid header"}`)
			return
		}
		body = z
	}
	text, _ := io.ReadAll(body)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	f.writes++
	if f.refuse != nil {
		if status, answer, header := f.refuse(lines); status != 0 {
			for k, v := range header {
				w.Header().Set(k, v)
			}
			say(status, answer)
			return
		}
	}
	f.store(bucket, lines)
	w.WriteHeader(http.StatusNoContent)
}

func (f *fake) store(bucket string, lines []string) {
	for _, l := range lines {
		f.lines[bucket+": "+l] = true
	}
}

// stored counts the lines of a measurement.
func (f *fake) stored(m jauge.Measurement) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for l := range f.lines {
		if strings.Contains(l, ": "+string(m)+",") {
			n++
		}
	}
	return n
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// logs is where a store writes its log, to be searched.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func config(f *fake) influx.Config {
	return influx.Config{URL: f.URL, Token: token, Org: "org", Bucket: "b", BatchRows: 100, Timeout: 5 * time.Second}
}

func connect(t *testing.T, cfg influx.Config) (*influx.Store, *logs, *prometheus.Registry) {
	t.Helper()
	var out logs
	reg := prometheus.NewPedanticRegistry()
	s, err := influx.New(cfg, slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if strings.Contains(out.String(), token) {
			t.Error("the token is in the log")
		}
	})
	return s, &out, reg
}

var now = time.Now().UTC()

// daily makes n rows with likes 0 to n-1; history makes a history row so and so old.
func daily(n int) []jauge.Record {
	out := make([]jauge.Record, n)
	for i := range out {
		out[i] = storagetest.Row(jauge.SocialPostDaily, now.Add(time.Duration(i)), []string{"acme", "bluesky", "did:a", "text"},
			"likes", i, "day", fmt.Sprintf("number %d.", i))
	}
	return out
}

func history(age time.Duration, n int) jauge.Record {
	return storagetest.Row(jauge.SocialPostHistory, now.Add(-age+time.Duration(n)), []string{"acme", "bluesky", "did:a"}, "likes", n)
}

// bad refuses the lines of certain numbers as InfluxDB does: 422, the others stored; or 400, nothing stored.
func (f *fake) bad(status int, message string, numbers ...int) {
	f.refuse = func(lines []string) (int, string, map[string]string) {
		var good []string
		for _, l := range lines {
			if !slices.ContainsFunc(numbers, func(n int) bool { return strings.Contains(l, fmt.Sprintf("number %d.", n)) }) {
				good = append(good, l)
			}
		}
		if len(good) == len(lines) {
			return 0, "", nil
		}
		if status == http.StatusUnprocessableEntity {
			f.store("b", good)
		}
		return status, fmt.Sprintf(`{"code":"x","message":%q}`, message), nil
	}
}
