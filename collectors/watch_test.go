package collectors_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/oauth/providers"
)

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func plume(version string) map[string]collectors.API {
	return map[string]collectors.API{"plume-pro": {Version: version, Sunsets: []collectors.Sunset{
		{Kind: collectors.SunsetVersion, Name: "v20.0", Ends: date("2026-09-24"), Then: "v26.0", From: "somebody"},
		{Kind: collectors.SunsetVersion, Name: "v9.1", Ends: date("2025-01-01"), Then: "v26.0", From: "somebody"},
		{Kind: collectors.SunsetVersion, Name: "v21.0", Ends: date("2027-01-21"), Then: "v26.0", From: "somebody"},
		{Kind: collectors.SunsetMetric, Name: "old", Ends: date("2025-11-15"), Then: "views", From: "somebody"},
		{Kind: collectors.SunsetMetric, Name: "hearts", Ends: date("2026-11-23"), From: "somebody"},
		{Kind: collectors.SunsetMetric, Name: "far", Ends: date("2028-01-01"), From: "somebody"},
	}}}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	hearts := "plume-pro: metric hearts ends on 2026-11-23, in 1 day"
	set := ": see what changed, then set JAUGE_PLUME_PRO_API_VERSION"
	for version, want := range map[string][]string{
		"":      {hearts},
		"v26.0": {hearts},
		"v21.0": {hearts, "plume-pro: API version v21.0 ends on 2027-01-21, in 60 days; v26.0 takes its place" + set},
		"v20.0": {"plume-pro: API version v20.0 ended on 2026-09-24, 59 days ago; v26.0 takes its place" + set, hearts},
		"v19.0": {"plume-pro: API version v19.0 ended on 2026-09-24, 59 days ago; v26.0 takes its place" + set, hearts},
		"v8.0":  {"plume-pro: API version v8.0 ended on 2025-01-01, 690 days ago; v26.0 takes its place" + set, hearts},
	} {
		var got []string
		for _, w := range collectors.Watch(plume(version), now) {
			got = append(got, w.Text)
			if left := w.Sunset.Ends.Sub(now); w.Left != left || w.Platform != "plume-pro" {
				t.Errorf("%s: %v left, want %v, of %s", w.Text, w.Left, left, w.Platform)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("version %q (-want +got):\n%s", version, diff)
		}
	}
	today := collectors.Watch(plume("v26.0"), date("2026-11-23"))
	if len(today) != 1 || !strings.HasSuffix(today[0].Text, "metric hearts ended today") {
		t.Errorf("on the day: %+v", today)
	}
	if late := collectors.Watch(plume("v26.0"), date("2027-03-01")); len(late) != 0 {
		t.Errorf("long after: %+v", late)
	}
}

func TestValidateFindsMistakes(t *testing.T) {
	t.Parallel()
	good := collectors.Sunset{Kind: collectors.SunsetMetric, Name: "a", Ends: date("2026-01-01"), From: "somebody"}
	for name, change := range map[string]func(*collectors.Sunset){
		"kind":    func(s *collectors.Sunset) { s.Kind = "thing" },
		"name":    func(s *collectors.Sunset) { s.Name = "" },
		"source":  func(s *collectors.Sunset) { s.From = "" },
		"zero":    func(s *collectors.Sunset) { s.Ends = time.Time{} },
		"hour":    func(s *collectors.Sunset) { s.Ends = s.Ends.Add(time.Hour) },
		"zone":    func(s *collectors.Sunset) { s.Ends = s.Ends.In(time.FixedZone("x", 3600)) },
		"itself":  func(s *collectors.Sunset) { s.Then = s.Name },
		"version": func(s *collectors.Sunset) { s.Kind = collectors.SunsetVersion },
	} {
		s := good
		change(&s)
		if err := (collectors.API{Sunsets: []collectors.Sunset{s}}).Validate(); err == nil {
			t.Errorf("%s: no mistake found", name)
		}
	}
	if err := (collectors.API{Sunsets: []collectors.Sunset{good, good}}).Validate(); err == nil {
		t.Error("listed twice: no mistake found")
	}
	if err := (collectors.API{Sunsets: []collectors.Sunset{good}}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestAPIsAreSane holds the data of every platform and provider.
func TestAPIsAreSane(t *testing.T) {
	t.Parallel()
	apis := map[string]collectors.API{
		"bluesky": bluesky.Platform.API, "mastodon": mastodon.Platform.API,
	}
	for _, p := range providers.All() {
		if _, ok := apis[p.Name]; !ok {
			apis[p.Name] = p.API
		}
	}
	for name, api := range apis {
		if err := api.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
