package pages

import (
	"strconv"
	"time"
)

const day = 24 * time.Hour

// moment is an instant as a page shows it: how far away it is, and exactly.
type moment struct {
	Machine string // RFC 3339, for <time datetime>
	Exact   string // "22 Nov 2026, 14:05 UTC"
	Near    string // "in 3 h", "2 days ago"
}

// When writes an instant for a reader; nil where it is zero.
func (l *locale) When(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &moment{Machine: t.Format(time.RFC3339), Exact: l.exact(t), Near: l.near(time.Until(t))}
}

// exact writes date and time of day.
func (l *locale) exact(t time.Time) string {
	return l.T("date.exact", "day", strconv.Itoa(t.Day()), "month", l.T("month."+strconv.Itoa(int(t.Month()))),
		"year", strconv.Itoa(t.Year()), "time", t.Format("15:04"))
}

// near writes how far away an instant is, in the largest unit that holds at least one, or two days before days are
// counted: "in 36 h" says more than "in 1 day".
func (l *locale) near(d time.Duration) string {
	way := "in"
	if d < 0 {
		way, d = "ago", -d
	}
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return l.T("near." + way + ".moment")
	case d < time.Hour:
		return l.N("near."+way+".minutes", int(d/time.Minute))
	case d < 2*day:
		return l.N("near."+way+".hours", int((d+time.Hour/2)/time.Hour))
	default:
		return l.N("near."+way+".days", int((d+day/2)/day))
	}
}
