package rest

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge/collectors"
)

// maxReset bounds how far ahead a platform's reset or Retry-After is believed; what lies beyond is cut to it.
const maxReset = 24 * time.Hour

// RetryAfter reads the standard Retry-After header, in seconds or as an HTTP date, at the instant now; ok is false
// where there is none or it makes no sense. The wait is never negative and at most a day.
func RetryAfter(h http.Header, now time.Time) (d time.Duration, ok bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		if math.IsNaN(s) || s < 0 {
			return 0, false
		}
		return time.Duration(min(s, maxReset.Seconds()) * float64(time.Second)), true
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return min(max(t.Sub(now), 0), maxReset), true
}

// UnixReset reads headers such as RateLimit-Limit, -Remaining and -Reset whose reset is an instant in Unix seconds
// (Bluesky, Intercom). prefix is what precedes "Limit", "RateLimit-" for instance.
func UnixReset(prefix string) collectors.RateLimitFunc {
	return dialect(prefix, func(v string, now time.Time) (time.Time, bool) {
		s, err := strconv.ParseInt(v, 10, 64)
		if err != nil || s <= 0 || s > math.MaxInt32*8 {
			return time.Time{}, false
		}
		return time.Unix(s, 0), true
	})
}

// ISOReset reads headers whose reset is an instant in ISO 8601 with or without a fraction (Mastodon's X-RateLimit-).
func ISOReset(prefix string) collectors.RateLimitFunc {
	return dialect(prefix, func(v string, _ time.Time) (time.Time, bool) {
		t, err := time.Parse(time.RFC3339, v)
		return t, err == nil
	})
}

// DeltaReset reads headers whose reset is the number of seconds left (Zendesk's ratelimit-).
func DeltaReset(prefix string) collectors.RateLimitFunc {
	return dialect(prefix, func(v string, now time.Time) (time.Time, bool) {
		s, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(s) || s < 0 {
			return time.Time{}, false
		}
		return now.Add(time.Duration(min(s, maxReset.Seconds()) * float64(time.Second))), true
	})
}

// RetryAfterOnly reads the quota of a platform that sends nothing but Retry-After when it is spent (Freshdesk).
func RetryAfterOnly() collectors.RateLimitFunc {
	return func(h http.Header, now time.Time) (collectors.Quota, bool) {
		d, ok := RetryAfter(h, now)
		if !ok {
			return collectors.Quota{}, false
		}
		return collectors.Quota{Reset: now.Add(d).UTC()}, true
	}
}

// dialect reads limit, remaining and reset under a prefix. Headers say nothing where remaining or reset is missing or
// makes no sense; a reset that lies further ahead than a day is cut, one in the past is now.
func dialect(prefix string, reset func(v string, now time.Time) (time.Time, bool)) collectors.RateLimitFunc {
	return func(h http.Header, now time.Time) (collectors.Quota, bool) {
		left, ok := number(h.Get(prefix + "Remaining"))
		if !ok {
			return collectors.Quota{}, false
		}
		at, ok := reset(strings.TrimSpace(h.Get(prefix+"Reset")), now)
		if !ok {
			return collectors.Quota{}, false
		}
		limit, ok := number(h.Get(prefix + "Limit"))
		if !ok {
			limit = 0
		}
		switch {
		case at.Before(now):
			at = now
		case at.Sub(now) > maxReset:
			at = now.Add(maxReset)
		}
		return collectors.Quota{Limit: limit, Remaining: left, Reset: at.UTC()}, true
	}
}

// number reads a count of calls; a negative one is spent, an absurd one is cut.
func number(s string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, false
	}
	return int(min(max(n, 0), math.MaxInt32)), true
}
