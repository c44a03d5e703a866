package main

import (
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
	"jauge.dev/jauge/configs"
)

// span is a range of time given by --from and --to.
type span struct{ from, to string }

const spanHelp = `--from and --to take a date (2026-11-21, UTC), an instant (2026-11-21T08:00:00Z) or a stretch back from now (12h, 7d).
--from counts in; a date given to --to counts in whole, an instant does not.`

func (s *span) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.from, "from", "", "begin of the range: date, instant or stretch back from now")
	cmd.Flags().StringVar(&s.to, "to", "", "end of the range: date (counts in), instant or stretch back from now")
}

// parse gives the half-open range; a zero bound is open.
func (s *span) parse(now time.Time) (from, to time.Time, err error) {
	if s.from != "" {
		if from, _, err = parseWhen("--from", s.from, now); err != nil {
			return from, to, err
		}
	}
	if s.to != "" {
		var isDay bool
		if to, isDay, err = parseWhen("--to", s.to, now); err != nil {
			return from, to, err
		}
		if isDay {
			to = to.AddDate(0, 0, 1)
		}
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, usagef("--from %s is not before --to %s", s.from, s.to)
	}
	return from, to, nil
}

// parseWhen reads an instant, and tells whether it was written as a date.
func parseWhen(flag, s string, now time.Time) (t time.Time, isDay bool, err error) {
	if d, err := jauge.ParseDay(s); err == nil {
		return d.Label(), true, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), false, nil
	}
	if d, err := configs.ParseDuration(s); err == nil {
		return now.Add(-d).UTC(), false, nil
	}
	return t, false, usagef("%s %q is no time: write a date (2026-11-21), an instant (2026-11-21T08:00:00Z) or a stretch back from now (7d)", flag, s)
}
