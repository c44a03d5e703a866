package influx

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// reach is one question of DataThrough: how far one metric goes per account.
type reach struct {
	metric jauge.Metric
	day    bool // the answer's second value is a day's label
	field  bool // the answer's value is the instant, else the row's time is
}

// DataThrough tells per account and metric how far the data reach, in the order of platform, account and metric. The
// questions about posts make the server walk over all of them.
func (s *Store) DataThrough(ctx context.Context) ([]jauge.DataThrough, error) {
	start := time.Now()
	out, err := s.through(ctx)
	err = s.doubt(s.orNil("ask how far data reach", err))
	s.meter.Read(start, err)
	return out, err
}

func (s *Store) through(ctx context.Context) ([]jauge.DataThrough, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	asked, text := questions()
	found := base.Reached{}
	var now reach
	var key base.Series
	err := s.query(ctx, s.main, text, sink{
		statement: func(id int) {
			if id >= 0 && id < len(asked) {
				now = asked[id]
			}
		},
		series: func(tags map[string]string, _ []string) error {
			key = base.Series{Platform: tags["platform"], Account: tags["account"], Metric: now.metric}
			return nil
		},
		row: func(cells []cell) (bool, error) { return true, now.note(found, key, cells) },
	})
	if err != nil {
		return nil, err
	}
	return found.List(), nil
}

// questions writes one statement for each metric of each measurement that tells how far it goes.
func questions() ([]reach, string) {
	var asked []reach
	var text strings.Builder
	ask := func(m jauge.Measurement, what reach, format string) {
		for _, c := range jauge.SchemaOf(m).Columns {
			if c.Type == jauge.Float {
				what.metric = jauge.Metric(c.Name)
				asked = append(asked, what)
				text.WriteString(strings.ReplaceAll(format, "$m", ident(c.Name)) + ` GROUP BY "platform", "account";`)
			}
		}
	}
	ask(jauge.SocialAccount, reach{}, `SELECT last($m) FROM "social_account" WHERE "period" = 'instant'`)
	// A comparison holds for no row that lacks the metric.
	ask(jauge.SocialPost, reach{field: true}, `SELECT max("observed_at") FROM "social_post" WHERE ($m >= 0 OR $m < 0)`)
	ask(jauge.SocialAccount, reach{day: true}, `SELECT last($m), "day" FROM "social_account" WHERE "period" = 'day'`)
	ask(jauge.SocialPostDaily, reach{day: true}, `SELECT last($m), "day" FROM "social_post_daily"`)
	return asked, text.String()
}

func (r reach) note(found base.Reached, k base.Series, cells []cell) error {
	if len(cells) < 2 || (r.day && len(cells) < 3) {
		return fmt.Errorf("%d cells in an answer", len(cells))
	}
	if r.day {
		found.Day(k, string(cells[2].text))
		return nil
	}
	c := cells[0]
	if r.field {
		c = cells[1]
	}
	if c.kind != cellNumber {
		return nil
	}
	ns, err := strconv.ParseInt(string(c.text), 10, 64)
	if err != nil {
		return fmt.Errorf("instant of %s: %w", r.metric, err)
	}
	found.Read(k, ns)
	return nil
}
