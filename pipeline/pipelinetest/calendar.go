package pipelinetest

import (
	"sort"
	"time"

	"jauge.dev/jauge"
)

const (
	second = int64(time.Second)
	hour   = int64(time.Hour)
)

// calendar is the platform's days, found by asking the zone for dates alone: a day begins at the first instant that
// bears its date. Where clocks jump over midnight that is not 00:00.
type calendar struct {
	zone   *time.Location
	starts map[jauge.Day]int64
}

func newCalendar(zone *time.Location) calendar {
	if zone == nil {
		zone = time.UTC
	}
	return calendar{zone, map[jauge.Day]int64{}}
}

// day gives the date of an instant.
func (c calendar) day(at int64) jauge.Day {
	y, m, d := time.Unix(0, at).In(c.zone).Date()
	return jauge.Day(time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Unix() / (24 * 3600)) // all dates here are after 1970
}

// start gives the day's first instant: no zone is further than a day from UTC, and changes fall on whole seconds.
func (c calendar) start(d jauge.Day) int64 {
	if at, ok := c.starts[d]; ok {
		return at
	}
	low := int64(d)*24*3600 - 26*3600
	n := sort.Search(52*3600, func(i int) bool { return c.day((low+int64(i))*second) >= d })
	c.starts[d] = (low + int64(n)) * second
	return c.starts[d]
}

// end gives the first instant after the day.
func (c calendar) end(d jauge.Day) int64 { return c.start(d + 1) }
