package jauge

import (
	"fmt"
	"time"
)

// Day is a calendar date, counted in days since 1970-01-01. A platform's reporting day is a Day in the platform's
// time zone; its true start in UTC is Start. Days compare and subtract as numbers.
type Day int32

const (
	secondsPerDay = 86400
	dayLayout     = time.DateOnly
)

// DayOf returns the date of an instant in a zone.
func DayOf(t time.Time, zone *time.Location) Day {
	if zone == time.UTC {
		s := t.Unix()
		if s < 0 && s%secondsPerDay != 0 {
			return Day(s/secondsPerDay - 1)
		}
		return Day(s / secondsPerDay)
	}
	y, m, d := t.In(zone).Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

// ParseDay reads a date written YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(dayLayout, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date: write it as YYYY-MM-DD", s)
	}
	return DayOf(t, time.UTC), nil
}

// Start returns the instant at which the date begins in a zone, in UTC. A day on which clocks change is 23 or 25
// hours long: End is the next day's Start.
func (d Day) Start(zone *time.Location) time.Time {
	t := time.Unix(int64(d)*secondsPerDay, 0).UTC()
	if zone == time.UTC {
		return t
	}
	start := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
	if DayOf(start, zone) < d { // clocks jump at midnight: the day begins when they have
		_, start = start.ZoneBounds()
	}
	return start.UTC()
}

// End returns the instant at which the date ends in a zone, in UTC.
func (d Day) End(zone *time.Location) time.Time { return (d + 1).Start(zone) }

// Label returns the instant 00:00 UTC of the date, at which KPI rows are stored whatever the zone.
func (d Day) Label() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// String gives YYYY-MM-DD.
func (d Day) String() string { return d.Label().Format(dayLayout) }
