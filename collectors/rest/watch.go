package rest

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge/collectors"
)

// maxNotices bounds how many notices are told apart; what comes beyond is counted, not logged.
const maxNotices = 1024

// notice is what an answer says of the end of what was asked.
type notice struct {
	deprecated string // since when, as a date; "yes" where the header does not tell; empty: it is not
	sunset     string // when it ends; empty: unknown
	link       string // where to read more, without its query
}

// noticeOf reads the headers Deprecation (RFC 9745, and the drafts before it) and Sunset (RFC 8594); ok is false where
// there is neither, or where they make no sense.
func noticeOf(h http.Header) (n notice, ok bool) {
	if v := strings.TrimSpace(h.Get("Deprecation")); v != "" && !strings.EqualFold(v, "false") && v != "?0" {
		n.deprecated = "yes"
		if s, err := strconv.ParseInt(strings.TrimPrefix(v, "@"), 10, 64); err == nil && strings.HasPrefix(v, "@") {
			n.deprecated = time.Unix(s, 0).UTC().Format(time.DateOnly)
		} else if t, err := http.ParseTime(v); err == nil {
			n.deprecated = t.UTC().Format(time.DateOnly)
		}
	}
	if t, err := http.ParseTime(strings.TrimSpace(h.Get("Sunset"))); err == nil {
		n.sunset = t.UTC().Format(time.DateOnly)
	}
	if n == (notice{}) {
		return n, false
	}
	n.link = noticeLink(h)
	return n, true
}

// noticeLink finds where a notice is explained.
func noticeLink(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			var target string
			var rels []string
			target, rels, line = oneLink(line)
			if !hasRel(rels, "deprecation") && !hasRel(rels, "sunset") {
				continue
			}
			u, err := url.Parse(target)
			if err != nil || len(target) > 300 {
				continue
			}
			u.RawQuery, u.Fragment, u.User = "", "", nil
			return u.String()
		}
	}
	return ""
}

// notices tells each notice once: by platform, host and dates.
type notices struct {
	mu   sync.Mutex
	seen map[[4]string]struct{}
}

func (s *notices) fresh(platform, host string, n notice) bool {
	k := [4]string{platform, host, n.deprecated, n.sunset}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[k]; ok || len(s.seen) >= maxNotices {
		return false
	}
	if s.seen == nil {
		s.seen = map[[4]string]struct{}{}
	}
	s.seen[k] = struct{}{}
	return true
}

// heed counts an answer that says that what was asked will end, and logs what is new.
func (t *transport) heed(resp *http.Response) {
	n, ok := noticeOf(resp.Header)
	if !ok {
		return
	}
	t.series.deprecations.Inc()
	host := resp.Request.URL.Host
	if !t.notices.fresh(t.series.name, host, n) {
		return
	}
	attrs := []any{slog.String("host", host), slog.String("path", resp.Request.URL.Path)}
	for _, a := range []slog.Attr{
		slog.String("deprecated_since", n.deprecated), slog.String("ends", n.sunset), slog.String("see", n.link),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	t.log.Warn("platform says that what is asked will end", attrs...)
}

// Sunsets is a Prometheus collector of what is known to end:
//
//	jauge_sunset_seconds{platform,kind,name}  seconds until the end, negative afterwards
//
// Of versions, it has the one that is used, if its end is known; of metrics all. The map's keys are names of platforms
// or providers, API.Version is the operator's where one is set.
func Sunsets(apis map[string]collectors.API) prometheus.Collector {
	s := &sunsets{desc: prometheus.NewDesc("jauge_sunset_seconds",
		"Seconds until the platform stops to answer an API version that is used, or a metric; negative afterwards.",
		[]string{"platform", "kind", "name"}, nil)}
	for name, api := range apis {
		for _, e := range api.InUse() {
			s.ends = append(s.ends, sunset{name, e})
		}
	}
	return s
}

type sunset struct {
	platform string
	collectors.Sunset
}

type sunsets struct {
	desc *prometheus.Desc
	ends []sunset
}

// Describe implements prometheus.Collector.
func (s *sunsets) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

// Collect implements prometheus.Collector.
func (s *sunsets) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, e := range s.ends {
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, e.Ends.Sub(now).Seconds(), e.platform, e.Kind, e.Name)
	}
}
