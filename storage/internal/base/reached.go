package base

import (
	"cmp"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// Series is a metric of an account.
type Series struct {
	Platform, Account string
	Metric            jauge.Metric
}

// Reached gathers how far the data of each series reach.
type Reached map[Series]*jauge.DataThrough

// Read notes a reading that bears the metric, at an instant in Unix nanoseconds.
func (f Reached) Read(k Series, ns int64) {
	if at := time.Unix(0, ns).UTC(); at.After(f.of(k).ReadAt) {
		f.of(k).ReadAt = at
	}
}

// Day notes a day that has a figure of the metric, by its label.
func (f Reached) Day(k Series, label string) {
	if label != "" {
		f.of(k).Day = max(f.of(k).Day, label)
	}
}

func (f Reached) of(k Series) *jauge.DataThrough {
	d := f[k]
	if d == nil {
		d = &jauge.DataThrough{Platform: jauge.Platform(k.Platform), Account: k.Account, Metric: k.Metric}
		f[k] = d
	}
	return d
}

// List gives what was gathered in the order of platform, account and metric.
func (f Reached) List() []jauge.DataThrough {
	out := make([]jauge.DataThrough, 0, len(f))
	for _, d := range f {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b jauge.DataThrough) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Metric, b.Metric))
	})
	return out
}
