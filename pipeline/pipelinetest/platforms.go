package pipelinetest

import (
	"time"

	"jauge.dev/jauge"
)

// The made-up platforms. Plume is like Bluesky; galet gives daily figures and has a shares counter of its own; brume has
// servers of several versions and a basis that posts bear.
const (
	plume jauge.Platform = "plume"
	galet jauge.Platform = "galet"
	brume jauge.Platform = "brume"
)

var zones = []string{
	"UTC", "America/Los_Angeles", "Europe/Paris", "Pacific/Apia", "Africa/Cairo", "Asia/Kathmandu",
}

// starts are mornings a few days before clocks change somewhere, or the year ends.
var starts = []string{
	"2026-03-05", "2026-03-26", "2026-10-22", "2026-10-29", "2026-04-21", "2026-12-27", "2026-06-10", "2028-02-26",
}

func counters(wires ...any) []jauge.Field {
	var out []jauge.Field
	for i := 0; i < len(wires); i += 2 {
		out = append(out, jauge.Field{
			Object: jauge.ObjectPost, Wire: wires[i].(string), Metric: wires[i+1].(jauge.Metric), Kind: jauge.Lifetime,
		})
	}
	return out
}

func gauges(kind jauge.Kind, wires ...any) []jauge.Field {
	out := counters(wires...)
	for i := range out {
		out[i].Object, out[i].Kind = jauge.ObjectAccount, kind
	}
	return out
}

func sharing(wire string, m jauge.Metric, varies bool) jauge.Field {
	return jauge.Field{
		Object: jauge.ObjectPost, Wire: wire, Metric: m, Into: []jauge.Metric{jauge.Shares}, Kind: jauge.Lifetime,
		Varies: varies,
	}
}

// mappings makes the platforms in zones that the dice choose.
func mappings(d dice) map[jauge.Platform]jauge.Mapping {
	fans := gauges(jauge.Gauge, "fans", jauge.Followers, "friends", jauge.Following, "notes", jauge.Posts)
	zone := func() *time.Location {
		z, err := time.LoadLocation(pick(d, zones...))
		if err != nil {
			return time.UTC
		}
		return z
	}
	varying := counters("keeps", jauge.Saves)
	varying[0].Varies = true
	return map[jauge.Platform]jauge.Mapping{
		plume: {
			Zone: zone(), Basis: jauge.Followers,
			Fields: join(fans, counters("hearts", jauge.Likes, "replies", jauge.Comments, "keeps", jauge.Saves),
				[]jauge.Field{sharing("boosts", jauge.Reposts, false), sharing("citations", jauge.Quotes, false)}),
		},
		galet: {
			Zone: zone(), Basis: jauge.Reach,
			Fields: join(fans, counters("hearts", jauge.Likes, "replies", jauge.Comments, "passed_on", jauge.Shares,
				"seconds", jauge.Metric("watch_time")),
				gauges(jauge.Count, "people", jauge.Reach, "sights", jauge.Impressions, "taps", jauge.Clicks)),
		},
		brume: {
			Zone: zone(), Basis: jauge.Metric("views"),
			Fields: join(fans, counters("hearts", jauge.Likes, "replies", jauge.Comments, "seen", jauge.Metric("views")),
				varying, []jauge.Field{sharing("boosts", jauge.Reposts, false), sharing("citations", jauge.Quotes, true)}),
		},
	}
}

func join(lists ...[]jauge.Field) []jauge.Field {
	var out []jauge.Field
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
