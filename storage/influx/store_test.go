package influx_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/influx"
	"jauge.dev/jauge/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConfig(t *testing.T) {
	_, err := influx.New(influx.Config{
		URL: "ftp://x", Bucket: "_b", HistoryRetention: time.Minute, BatchRows: -1, Concurrency: 100, Timeout: -1,
	}, nil, nil)
	for _, want := range []string{"URL", "TOKEN", "ORG", "BUCKET", "HISTORY_RETENTION", "BATCH_ROWS", "CONCURRENCY", "TIMEOUT"} {
		if err == nil || !strings.Contains(err.Error(), want+":") && !strings.Contains(err.Error(), want+",") {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	_, err = influx.New(influx.Config{URL: "http://user:pass@x", Token: "t", Org: "o", Bucket: "b"}, nil, nil)
	if err == nil || strings.Contains(err.Error(), "pass@") {
		t.Errorf("a URL with a password: %v", err)
	}
}

func TestOpenMakesBuckets(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	for range 2 {
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"b":         `{"orgID":"0123","name":"b","retentionRules":[{"type":"expire","everySeconds":0,"shardGroupDurationSeconds":31536000}]}`,
		"b_history": `{"orgID":"0123","name":"b_history","retentionRules":[{"type":"expire","everySeconds":7776000,"shardGroupDurationSeconds":604800}]}`,
	}
	if d := cmp.Diff(want, f.buckets); d != "" {
		t.Errorf("buckets (-want +got):\n%s", d)
	}
	if f.stored(jauge.SocialKPI) != 0 || len(f.lines) != 1 {
		t.Errorf("stored %v, want the schema's version alone", f.lines)
	}
	for l := range f.lines {
		if !strings.HasPrefix(l, "b: jauge_schema version=1i ") {
			t.Errorf("schema version is kept as %q", l)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestOpenFailures(t *testing.T) {
	for name, k := range map[string]struct {
		change func(f *fake, c *influx.Config)
		reason jauge.Reason
		says   string
	}{
		"wrong token":         {func(_ *fake, c *influx.Config) { c.Token = "wrong" }, jauge.ReasonAuth, "token"},
		"may not make":        {func(f *fake, _ *influx.Config) { f.deny["POST /api/v2/buckets"] = 403 }, jauge.ReasonScope, "influx bucket create"},
		"may not make, 401":   {func(f *fake, _ *influx.Config) { f.deny["POST /api/v2/buckets"] = 401 }, jauge.ReasonAuth, "influx bucket create"},
		"sees no org":         {func(f *fake, _ *influx.Config) { f.deny["GET /api/v2/orgs"] = 404 }, jauge.ReasonNotFound, "ORG"},
		"server is starting":  {func(f *fake, _ *influx.Config) { f.deny["GET /api/v2/buckets"] = 503 }, jauge.ReasonServer, "repeated"},
		"no InfluxDB 2":       {func(f *fake, _ *influx.Config) { f.deny["GET /api/v2/buckets"] = 404 }, jauge.ReasonNotFound, "2.x"},
		"address moved":       {func(f *fake, _ *influx.Config) { f.deny["GET /api/v2/buckets"] = 307 }, jauge.ReasonBadRequest, "URL"},
		"nobody listens":      {func(_ *fake, c *influx.Config) { c.URL = "http://127.0.0.1:1" }, jauge.ReasonNetwork, "reachable"},
		"written by a newer":  {func(f *fake, _ *influx.Config) { f.version = versionAnswer("99") }, jauge.ReasonBadRequest, "newer jauge"},
		"version is nonsense": {func(f *fake, _ *influx.Config) { f.version = versionAnswer(`"x"`) }, jauge.ReasonDecode, "version"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			cfg := config(f)
			k.change(f, &cfg)
			s, _, reg := connect(t, cfg)
			calls := map[string]error{
				"open":  s.Open(t.Context()),
				"ping":  s.Ping(t.Context()),
				"write": s.Write(t.Context(), daily(1)),
			}
			_, calls["read"] = storagetest.Collect(t.Context(), s, jauge.Query{Measurement: jauge.SocialKPI})
			for call, err := range calls {
				e, ok := errors.AsType[*jauge.Error](err)
				if !ok || e.Reason != k.reason || !strings.Contains(err.Error(), k.says) {
					t.Errorf("%s: %v, want reason %s and %q", call, err, k.reason, k.says)
				}
				if strings.Contains(err.Error(), token) {
					t.Errorf("%s: the token is in %v", call, err)
				}
			}
			if n, err := testutil.GatherAndCount(reg, "jauge_store_failures_total"); err != nil || n != 6*len(jauge.Reasons()) {
				t.Errorf("%d series of failures, %v", n, err)
			}
			f.set(func() { clear(f.deny) })
			if name != "server is starting" && name != "may not make" {
				return
			}
			if err := s.Write(t.Context(), daily(1)); err != nil {
				t.Errorf("write once the fault is gone: %v", err)
			}
		})
	}
}

// counted gives the value of a counter of a measurement.
func counted(t *testing.T, reg prometheus.Gatherer, family string, m jauge.Measurement) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if f.GetName() == family && l.GetName() == "measurement" && l.GetValue() == string(m) {
					return series.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("no %s of %s", family, m)
	return 0
}

func versionAnswer(v string) string {
	return `{"results":[{"statement_id":0,"series":[{"name":"jauge_schema","columns":["time","last"],"values":[[1,` + v + `]]}]}]}`
}

func TestOpenWarnings(t *testing.T) {
	rules := func(name, keep, shard string) string {
		return `{"id":"77","name":"` + name + `","retentionRules":[{"everySeconds":` + keep + `,"shardGroupDurationSeconds":` + shard + `}]}`
	}
	for name, k := range map[string]struct {
		main, history string
		says          []string
		kept          time.Duration
	}{
		"as made":       {rules("b", "0", "31536000"), rules("b_history", "7776000", "604800"), nil, 90 * 24 * time.Hour},
		"no rules":      {`{"id":"77","name":"b"}`, rules("b_history", "7776000", "86400"), nil, 90 * 24 * time.Hour},
		"finite main":   {rules("b", "86400", "31536000"), rules("b_history", "7776000", "604800"), []string{"ERROR", "--retention 0"}, 90 * 24 * time.Hour},
		"short shards":  {rules("b", "0", "604800"), rules("b_history", "7776000", "604800"), []string{"WARN", "--shard-group-duration"}, 90 * 24 * time.Hour},
		"short history": {rules("b", "0", "31536000"), rules("b_history", "86400", "3600"), []string{"WARN", "--retention 7776000s"}, 24 * time.Hour},
		"long history":  {rules("b", "0", "31536000"), rules("b_history", "0", "604800"), []string{"WARN", "for ever"}, 90 * 24 * time.Hour},
		"long shards":   {rules("b", "0", "31536000"), rules("b_history", "7776000", "31536000"), []string{"WARN", "604800s"}, 90 * 24 * time.Hour},
	} {
		f := newFake(t)
		f.buckets["b"], f.buckets["b_history"] = k.main, k.history
		s, out, _ := connect(t, config(f))
		if err := s.Open(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if k.says == nil && (strings.Contains(out.String(), "WARN") || strings.Contains(out.String(), "ERROR")) {
			t.Errorf("%s: logged %s", name, out)
		}
		for _, want := range k.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: logged %s, want %q in it", name, out, want)
			}
		}
		if got := s.HistoryRetention(); got != k.kept {
			t.Errorf("%s: history is kept for %v, want %v", name, got, k.kept)
		}
	}
}

func TestRefusedRowsAreIsolated(t *testing.T) {
	rows := daily(250)
	for name, k := range map[string]struct {
		status  int
		message string
	}{
		"type conflict": {422, `failure writing points to database: partial write: field type conflict: input field "likes" dropped=1`},
		"malformed":     {400, `unable to parse 'x': missing fields`},
		"1.x":           {400, `partial write: field type conflict: dropped=1`},
		"too large":     {413, `points batch is too large`},
	} {
		f := newFake(t)
		s, _, reg := connect(t, config(f))
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.set(func() { f.bad(k.status, k.message, 3, 77, 78, 249) })
		err := s.Write(t.Context(), append([]jauge.Record{{}}, rows...))
		refused, ok := errors.AsType[*jauge.RejectedError](err)
		if !ok {
			t.Fatalf("%s: %v, want a *jauge.RejectedError", name, err)
		}
		got := map[float64]bool{}
		for i, r := range refused.Rows {
			if r.Schema == nil {
				continue
			}
			v, _ := r.Float("likes")
			got[v] = true
			if !strings.Contains(refused.Reasons[i], k.message) {
				t.Errorf("%s: reason %q", name, refused.Reasons[i])
			}
		}
		if d := cmp.Diff(map[float64]bool{3: true, 77: true, 78: true, 249: true}, got); d != "" || len(refused.Rows) != 5 {
			t.Errorf("%s: %d rows refused (-want +got):\n%s", name, len(refused.Rows), d)
		}
		if n := f.stored(jauge.SocialPostDaily); n != 246 {
			t.Errorf("%s: %d rows stored, want all others", name, n)
		}
		if n := counted(t, reg, "jauge_store_rows_rejected_total", jauge.SocialPostDaily); n != 4 {
			t.Errorf("%s: %v rows counted as rejected, want 4", name, n)
		}
	}
}

func TestFaultsOfTheWayRefuseNoRow(t *testing.T) {
	for name, k := range map[string]struct {
		status int
		body   string
		header map[string]string
		reason jauge.Reason
		after  time.Duration
	}{
		"unauthorized": {401, `{"code":"unauthorized","message":"x"}`, nil, jauge.ReasonAuth, 0},
		"forbidden":    {403, `{"code":"forbidden","message":"x"}`, nil, jauge.ReasonScope, 0},
		"gone":         {404, `{"code":"not found","message":"bucket"}`, nil, jauge.ReasonNotFound, 0},
		"unknown 400":  {400, `{"code":"invalid","message":"gzip: invalid header"}`, nil, jauge.ReasonBadRequest, 0},
		"too many series": {
			422, `{"code":"x","message":"partial write: max-series-per-database limit exceeded: (1000000) dropped=3"}`, nil,
			jauge.ReasonBadRequest, 0,
		},
		"slower":         {429, `{"code":"too many requests","message":"x"}`, map[string]string{"Retry-After": "7"}, jauge.ReasonRateLimited, 7 * time.Second},
		"overloaded":     {503, `{"code":"unavailable","message":"x"}`, map[string]string{"Retry-After": "3"}, jauge.ReasonServer, 3 * time.Second},
		"internal":       {500, `not json`, nil, jauge.ReasonServer, 0},
		"a page":         {200, `<html>welcome</html>`, nil, jauge.ReasonNetwork, 0},
		"sent elsewhere": {302, ``, map[string]string{"Location": "/elsewhere"}, jauge.ReasonBadRequest, 0},
	} {
		f := newFake(t)
		s, _, _ := connect(t, config(f))
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.set(func() {
			f.refuse = func([]string) (int, string, map[string]string) { return k.status, k.body, k.header }
		})
		err := s.Write(t.Context(), daily(120))
		e, ok := errors.AsType[*jauge.Error](err)
		if !ok || e.Reason != k.reason || e.RetryAfter != k.after {
			t.Errorf("%s: %v, want %s and to wait %v", name, err, k.reason, k.after)
		}
		f.set(func() { f.refuse = nil })
		if err := s.Write(t.Context(), daily(120)); err != nil {
			t.Errorf("%s: once it is over: %v", name, err)
		}
		if n := f.stored(jauge.SocialPostDaily); n != 120 {
			t.Errorf("%s: %d rows stored in the end, want 120", name, n)
		}
	}
}

func TestLostBucketIsMadeAgain(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	if err := s.Write(t.Context(), daily(1)); err != nil {
		t.Fatal(err)
	}
	f.set(func() { clear(f.buckets) })
	if err := s.Write(t.Context(), daily(1)); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("write into a bucket that has gone: %v", err)
	}
	if err := s.Write(t.Context(), daily(1)); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestRowsPastTheRetentionCostFewCalls(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	const old = 91 * 24 * time.Hour
	var rows []jauge.Record
	for i := range 100 {
		rows = append(rows, history(old*time.Duration(i%2), i))
	}
	f.set(func() {
		f.writes = 0
		f.refuse = func(lines []string) (int, string, map[string]string) {
			if len(lines) > 50 {
				return 422, `{"code":"unprocessable entity","message":"partial write: dropped 50 points outside retention policy dropped=50"}`, nil
			}
			return 0, "", nil
		}
	})
	err := s.Write(t.Context(), rows)
	if refused, ok := errors.AsType[*jauge.RejectedError](err); !ok || len(refused.Rows) != 50 {
		t.Fatalf("write: %v, want 50 rows refused", err)
	}
	if n := f.stored(jauge.SocialPostHistory); n != 50 || f.writes != 2 {
		t.Errorf("%d rows stored with %d requests, want 50 with 2", n, f.writes)
	}
}

func TestLargeBodiesAreCompressed(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	if err := errors.Join(s.Write(t.Context(), daily(1)), s.Write(t.Context(), daily(250))); err != nil {
		t.Fatal(err)
	}
	if f.gzipped != 3 || f.writes != 5 {
		t.Errorf("%d of %d writes compressed, want the 3 large ones of 5", f.gzipped, f.writes)
	}
	if n := f.stored(jauge.SocialPostDaily); n != 250 {
		t.Errorf("%d rows, want 250", n)
	}
}

func TestStalledServer(t *testing.T) {
	release := make(chan struct{})
	f := newFake(t)
	cfg := config(f)
	cfg.Timeout = 50 * time.Millisecond
	s, _, _ := connect(t, cfg)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.set(func() {
		f.refuse = func([]string) (int, string, map[string]string) { <-release; return 500, "", nil }
	})
	err := s.Write(t.Context(), daily(1))
	close(release)
	if jauge.ReasonOf(err) != jauge.ReasonDeadline || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("write to a server that does not answer: %v", err)
	}
}

func TestReadCutShort(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	row := `[1,null,2.5,null,null,null,null,null,null,"acme","bluesky","did:a","likes","day"]`
	for name, answer := range map[string]string{
		"cut":        `{"results":[{"statement_id":0,"series":[{"name":"social_kpi","columns":["` + strings.Repeat(`c","`, 13) + `c"],"values":[` + row + `,[2,nu`,
		"an error":   `{"results":[{"statement_id":0,"series":[{"columns":["` + strings.Repeat(`c","`, 13) + `c"],"values":[` + row + `]}]}]}{"results":[{"error":"timeout"}]}`,
		"other type": `{"results":[{"statement_id":0,"series":[{"columns":["` + strings.Repeat(`c","`, 13) + `c"],"values":[` + row + `,` + strings.Replace(row, "2.5", `"x"`, 1) + `]}]}]}`,
	} {
		f.set(func() { f.version = answer })
		rows, err := storagetest.Collect(t.Context(), s, jauge.Query{Measurement: jauge.SocialKPI})
		if err == nil || len(rows) != 1 {
			t.Errorf("%s: %d rows and %v, want one row, then an error", name, len(rows), err)
		}
	}
}

func TestClosed(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	if err := errors.Join(s.Open(t.Context()), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := s.Write(t.Context(), daily(1)); err == nil || f.stored(jauge.SocialPostDaily) != 0 {
		t.Errorf("a closed store: %v", err)
	}
}

// TestWaitingForOpenEnds has one call open the store of a server that does not answer, and another one, waiting for
// it, whose context ends.
func TestWaitingForOpenEnds(t *testing.T) {
	f := newFake(t)
	s, _, _ := connect(t, config(f))
	f.mu.Lock() // the server holds every request
	first := make(chan error, 1)
	go func() { first <- s.Open(t.Context()) }()
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- s.Write(ctx, daily(1)) }()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting call: %v", err)
	}
	f.mu.Unlock()
	if err := <-first; err != nil {
		t.Errorf("the first call: %v", err)
	}
}
