package rest_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/rest"
)

func TestDeprecationIsLoggedOnceAndCounted(t *testing.T) {
	const series = "jauge_deprecation_headers_total"
	for name, c := range map[string]struct {
		header []string
		logged string // a part of the line; empty: nothing, and nothing is counted
	}{
		"date":     {[]string{"Deprecation", "@1688169599"}, "deprecated_since=2023-06-30"},
		"both":     {[]string{"Deprecation", "@1688169599", "Sunset", "Sun, 30 Jun 2027 23:59:59 GMT"}, "deprecated_since=2023-06-30 ends=2027-06-30"},
		"draft":    {[]string{"Deprecation", "true"}, "deprecated_since=yes"},
		"old":      {[]string{"Deprecation", "Sun, 11 Nov 2018 23:59:59 GMT"}, "deprecated_since=2018-11-11"},
		"sunset":   {[]string{"Sunset", "Sat, 31 Dec 2026 23:59:59 GMT"}, "ends=2026-12-31"},
		"link":     {[]string{"Sunset", "Sat, 31 Dec 2026 23:59:59 GMT", "Link", `<https://x.test/a>; rel=next, <https://x.test/why?key=hush>; rel="deprecation"`}, "see=https://x.test/why\n"},
		"not":      {[]string{"Deprecation", "false"}, ""},
		"nothing":  {nil, ""},
		"nonsense": {[]string{"Sunset", "soon"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			reg := prometheus.NewPedanticRegistry()
			metrics, err := rest.NewMetrics(reg)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{answers: []http.HandlerFunc{
				say(http.StatusOK, `{"ok":true}`, c.header...), say(http.StatusNotFound, `{}`, c.header...), fine,
			}}
			hc, err := rest.NewClient(platform(), rest.Default(), rest.Deps{
				Metrics: metrics, Base: collectortest.InProcess(s), Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			wantMetric(t, reg, series, series+`{platform="plume"} 0`)
			for range 3 {
				_, _ = get(t, hc) // the second one fails, and says so too
			}
			count, lines := "2", 1
			if c.logged == "" {
				count, lines = "0", 0
			}
			wantMetric(t, reg, series, series+`{platform="plume"} `+count)
			if got := strings.Count(log.String(), "will end"); got != lines || !strings.Contains(log.String(), c.logged) || strings.Contains(log.String(), "hush") {
				t.Errorf("want %d line with %q in:\n%s", lines, c.logged, log.String())
			}
		})
	}
}

func TestSunsetSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock stands at 2000-01-01
		day := func(d int) time.Time { return time.Date(2000, 1, d, 0, 0, 0, 0, time.UTC) }
		c := rest.Sunsets(map[string]collectors.API{
			"plume": {Version: "v2", Sunsets: []collectors.Sunset{
				{Kind: collectors.SunsetVersion, Name: "v1", Ends: day(1)},
				{Kind: collectors.SunsetVersion, Name: "v2", Ends: day(3)},
				{Kind: collectors.SunsetMetric, Name: "hearts", Ends: day(1).AddDate(0, 0, -1)},
			}},
			"quill": {},
		})
		if err := testutil.CollectAndCompare(c, strings.NewReader(`
# HELP jauge_sunset_seconds Seconds until the platform stops to answer an API version that is used, or a metric; negative afterwards.
# TYPE jauge_sunset_seconds gauge
jauge_sunset_seconds{kind="metric",name="hearts",platform="plume"} -86400
jauge_sunset_seconds{kind="version",name="v2",platform="plume"} 172800
`)); err != nil {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
		if n := testutil.CollectAndCount(c); n != 2 {
			t.Errorf("%d series a day later", n)
		}
	})
}

func TestQuotaOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := platform()
		p.RateLimit = rest.DeltaReset("X-")
		s := &script{answers: []http.HandlerFunc{say(http.StatusOK, `{}`, "X-Limit", "100", "X-Remaining", "40", "X-Reset", "60")}}
		hc := client(t, p, rest.Default(), s)
		if q, ok := rest.QuotaOf(hc); ok {
			t.Errorf("quota %+v before the first answer", q)
		}
		if _, err := get(t, hc); err != nil {
			t.Fatal(err)
		}
		reset := time.Now().Add(time.Minute).UTC()
		for name, c := range map[string]*http.Client{"itself": hc, "on top": {Transport: onTop{hc.Transport}}} {
			if q, ok := rest.QuotaOf(c); !ok || q.Limit != 100 || q.Remaining != 40 || !q.Reset.Equal(reset) {
				t.Errorf("%s: quota %+v %v", name, q, ok)
			}
		}
		time.Sleep(2 * time.Minute)
		if q, ok := rest.QuotaOf(hc); !ok || q.Remaining != 100 {
			t.Errorf("after the reset: %+v %v", q, ok)
		}
		for _, other := range []*http.Client{nil, {}, {Transport: collectortest.RoundTripFunc(nil)}} {
			if q, ok := rest.QuotaOf(other); ok {
				t.Errorf("quota of another client: %+v", q)
			}
		}
	})
}

type onTop struct{ http.RoundTripper }

func (o onTop) Unwrap() http.RoundTripper { return o.RoundTripper }
