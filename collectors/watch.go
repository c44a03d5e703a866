package collectors

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How far a warning looks: a version has to be changed by somebody, a metric's history needs a successor in time. A
// metric that ended long ago is no news; a version that ended is one for as long as it is used.
const (
	watchAhead  = 180 * 24 * time.Hour
	watchBehind = 90 * 24 * time.Hour
)

// Warning says that something which is used will end, or has ended.
type Warning struct {
	Platform string // the key in the map of APIs
	Sunset   Sunset
	Left     time.Duration // until Sunset.Ends; negative afterwards
	Text     string        // one English sentence: what ends, when, what takes its place
}

// Watch tells what of the APIs ends within half a year of the instant now, or has ended: the version that API.Version
// names, if it has an end, and metrics, up to a quarter of a year after theirs. The most urgent comes first. The map's
// keys are names of platforms or providers; API.Version is the one that is used, the operator's where one is set.
func Watch(apis map[string]API, now time.Time) []Warning {
	var out []Warning
	for name, api := range apis {
		for _, s := range api.InUse() {
			left := s.Ends.Sub(now)
			if left > watchAhead || s.Kind == SunsetMetric && left < -watchBehind {
				continue
			}
			out = append(out, Warning{Platform: name, Sunset: s, Left: left, Text: warningText(name, s, now)})
		}
	}
	slices.SortFunc(out, func(a, b Warning) int {
		return cmp.Or(a.Sunset.Ends.Compare(b.Sunset.Ends), cmp.Compare(a.Platform, b.Platform),
			cmp.Compare(a.Sunset.Name, b.Sunset.Name))
	})
	return out
}

// InUse lists the ends that concern somebody who speaks API.Version: that version's own, if it is known, and those of
// metrics. A version that is older than one that has an end ends with that one at the latest.
func (a API) InUse() []Sunset {
	var out []Sunset
	var next *Sunset // the oldest version that is not older than ours
	for i := range a.Sunsets {
		s := &a.Sunsets[i]
		switch {
		case s.Kind != SunsetVersion:
			out = append(out, *s)
		case !notNewer(a.Version, s.Name):
		case next == nil || compareVersions(s.Name, next.Name) < 0:
			next = s
		}
	}
	if next != nil {
		s := *next
		s.Name = a.Version
		out = append(out, s)
	}
	return out
}

// Validate reports every mistake in the data.
func (a API) Validate() error {
	var errs []error
	seen := map[[2]string]bool{}
	for _, s := range a.Sunsets {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("sunset of %s %q: %s", s.Kind, s.Name, fmt.Sprintf(format, args...)))
		}
		if s.Kind != SunsetVersion && s.Kind != SunsetMetric {
			bad("the kind is neither %s nor %s", SunsetVersion, SunsetMetric)
		}
		if s.Name == "" {
			bad("it has no name")
		}
		if s.From == "" {
			bad("nobody says so: name the source")
		}
		if s.Ends.IsZero() || !s.Ends.Equal(s.Ends.UTC().Truncate(24*time.Hour)) || s.Ends.Location() != time.UTC {
			bad("%v is no midnight in UTC", s.Ends)
		}
		if s.Then == s.Name && s.Then != "" {
			bad("it takes its own place")
		}
		if k := [2]string{s.Kind, s.Name}; seen[k] {
			bad("it is listed twice")
		} else {
			seen[k] = true
		}
		if s.Kind == SunsetVersion && a.Version == "" {
			bad("the API has versions and none is spoken")
		}
	}
	return errors.Join(errs...)
}

// notNewer tells whether a version ends with another one at the latest; versions that are no numbers, only if they are
// the same.
func notNewer(v, other string) bool {
	return v == other || len(versionNumbers(v)) > 0 && compareVersions(v, other) <= 0
}

// compareVersions compares versions such as v25.0, 202606 and 1.3 number by number.
func compareVersions(a, b string) int { return slices.Compare(versionNumbers(a), versionNumbers(b)) }

func versionNumbers(v string) []int {
	var out []int
	for part := range strings.SplitSeq(strings.TrimLeft(v, "vV"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return out
		}
		out = append(out, n)
	}
	return out
}

func warningText(name string, s Sunset, now time.Time) string {
	what := "metric " + s.Name
	if s.Kind == SunsetVersion {
		what = "API version " + s.Name
	}
	// Whole days between the dates: the end is a date, not an hour.
	days := int(s.Ends.Sub(now.UTC().Truncate(24*time.Hour)) / (24 * time.Hour))
	when := fmt.Sprintf("ends on %s, in %s", s.Ends.Format(time.DateOnly), countDays(days))
	switch {
	case days == 0:
		when = "ended today"
	case days < 0:
		when = fmt.Sprintf("ended on %s, %s ago", s.Ends.Format(time.DateOnly), countDays(-days))
	}
	text := fmt.Sprintf("%s: %s %s", name, what, when)
	if s.Then != "" {
		text += fmt.Sprintf("; %s takes its place", s.Then)
	}
	if s.Kind == SunsetVersion {
		text += fmt.Sprintf(": see what changed, then set JAUGE_%s_API_VERSION",
			strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	}
	return text
}

func countDays(n int) string {
	if n == 1 {
		return "1 day"
	}
	return strconv.Itoa(n) + " days"
}
