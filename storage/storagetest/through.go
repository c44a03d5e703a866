package storagetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"jauge.dev/jauge"
)

type throughKey struct {
	platform, account string
	metric            jauge.Metric
}

// DataThrough tells per account and metric how far the data reach, in the order of platform, account and metric.
func (m *Mem) DataThrough(ctx context.Context) ([]jauge.DataThrough, error) {
	if err := m.begin(ctx, OpRead, nil); err != nil {
		return nil, err
	}
	found := map[throughKey]*jauge.DataThrough{}
	for _, name := range []jauge.Measurement{jauge.SocialAccount, jauge.SocialPost, jauge.SocialPostDaily} {
		rows, err := m.find(jauge.Query{Measurement: name})
		if err != nil {
			return nil, err
		}
		for i := range rows {
			through(found, &rows[i])
		}
	}
	out := make([]jauge.DataThrough, 0, len(found))
	for _, d := range found {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b jauge.DataThrough) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Metric, b.Metric))
	})
	return out, nil
}

func through(found map[throughKey]*jauge.DataThrough, r *jauge.Record) {
	read, day := time.Time{}, ""
	switch {
	case r.Schema.Measurement == jauge.SocialPost:
		at, ok := r.Int("observed_at")
		if !ok {
			return
		}
		read = time.Unix(0, at).UTC()
	case r.Schema.Measurement == jauge.SocialAccount && r.Tag("period") == string(jauge.PeriodInstant):
		read = time.Unix(0, r.Time).UTC()
	case r.Schema.Measurement == jauge.SocialPostDaily || r.Tag("period") == string(jauge.PeriodDay):
		day = r.Text("day")
	}
	for _, v := range r.Values {
		c := r.Schema.Columns[v.Col]
		if c.Type != jauge.Float {
			continue
		}
		k := throughKey{r.Tag("platform"), r.Tag("account"), jauge.Metric(c.Name)}
		d := found[k]
		if d == nil {
			d = &jauge.DataThrough{Platform: jauge.Platform(k.platform), Account: k.account, Metric: k.metric}
		}
		if read.After(d.ReadAt) {
			d.ReadAt = read
		}
		d.Day = max(d.Day, day)
		if !d.ReadAt.IsZero() || d.Day != "" {
			found[k] = d
		}
	}
}
