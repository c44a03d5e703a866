package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// reach is one question of DataThrough: how far a measurement's metrics go per account.
type reach struct {
	measurement jauge.Measurement
	where       string
	newest      string // the expression whose newest value counts
	day         bool   // newest is a day's label, else an instant
}

var reaches = []reach{
	{jauge.SocialAccount, "period = 'instant'", "time", false},
	{jauge.SocialPost, "1", "observed_at", false},
	{jauge.SocialAccount, "period = 'day'", "day", true},
	{jauge.SocialPostDaily, "1", "day", true},
}

type series struct {
	platform, account string
	metric            jauge.Metric
}

// DataThrough tells per account and metric how far the data reach, in the order of platform, account and metric. It
// walks over the account, post and daily rows: seconds for millions of them.
func (s *Store) DataThrough(ctx context.Context) ([]jauge.DataThrough, error) {
	start := time.Now()
	out, err := s.through(ctx)
	if err != nil {
		err = describe("ask how far data reach", ended(ctx, err))
	}
	s.meter.Read(start, err)
	return out, err
}

func (s *Store) through(ctx context.Context) ([]jauge.DataThrough, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	found := map[series]*jauge.DataThrough{}
	for _, r := range reaches {
		if err := r.ask(ctx, p.ro, found); err != nil {
			return nil, fmt.Errorf("of %s: %w", r.measurement, err)
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

func (r reach) ask(ctx context.Context, db *sql.DB, found map[series]*jauge.DataThrough) error {
	var metrics []jauge.Metric
	var exprs []string
	for _, c := range jauge.SchemaOf(r.measurement).Columns {
		if c.Type == jauge.Float {
			metrics = append(metrics, jauge.Metric(c.Name))
			exprs = append(exprs, fmt.Sprintf("max(CASE WHEN %s IS NOT NULL THEN %s END)", quote(c.Name), quote(r.newest)))
		}
	}
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT platform, account, %s FROM %s WHERE %s GROUP BY platform, account",
		strings.Join(exprs, ", "), quote(string(r.measurement)), r.where))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var platform, account string
	cells := make([]any, len(metrics))
	dest := []any{&platform, &account}
	for i := range cells {
		dest = append(dest, &cells[i])
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, m := range metrics {
			if cells[i] != nil {
				r.note(found, series{platform, account, m}, cells[i])
			}
		}
	}
	return rows.Err()
}

func (r reach) note(found map[series]*jauge.DataThrough, k series, cell any) {
	d := found[k]
	if d == nil {
		d = &jauge.DataThrough{Platform: jauge.Platform(k.platform), Account: k.account, Metric: k.metric}
		found[k] = d
	}
	switch v := cell.(type) {
	case int64:
		if at := time.Unix(0, v).UTC(); !r.day && at.After(d.ReadAt) {
			d.ReadAt = at
		}
	case string:
		if r.day {
			d.Day = max(d.Day, v)
		}
	}
}
