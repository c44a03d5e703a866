package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// reach is one question of DataThrough: how far a measurement's metrics go per account.
type reach struct {
	measurement jauge.Measurement
	where       string
	newest      string // the column whose newest value counts: an instant or a day's label
}

var reaches = []reach{
	{jauge.SocialAccount, "period = 'instant'", "time"},
	{jauge.SocialPost, "1", "observed_at"},
	{jauge.SocialAccount, "period = 'day'", "day"},
	{jauge.SocialPostDaily, "1", "day"},
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
	found := base.Reached{}
	for _, r := range reaches {
		if err := r.ask(ctx, p.ro, found); err != nil {
			return nil, fmt.Errorf("of %s: %w", r.measurement, err)
		}
	}
	return found.List(), nil
}

func (r reach) ask(ctx context.Context, db *sql.DB, found base.Reached) error {
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
				note(found, base.Series{Platform: platform, Account: account, Metric: m}, cells[i])
			}
		}
	}
	return rows.Err()
}

func note(found base.Reached, k base.Series, cell any) {
	switch v := cell.(type) {
	case int64:
		found.Read(k, v)
	case string:
		found.Day(k, v)
	}
}
