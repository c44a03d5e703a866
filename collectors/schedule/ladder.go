package schedule

import "time"

// LadderEnd is the age from which on a post is read no more.
const LadderEnd = 90 * 24 * time.Hour

// Rung says how often a post younger than Younger is read.
type Rung struct {
	Younger time.Duration
	Every   time.Duration
}

// Ladder is the re-read ladder, youngest first; a post older than the last rung is never due.
type Ladder []Rung

// DefaultLadder reads hourly in the first day, every six hours in the first week, daily in the first month, weekly in
// the first quarter and as it ends, then never.
func DefaultLadder() Ladder {
	const day = 24 * time.Hour
	return Ladder{{day, time.Hour}, {7 * day, 6 * time.Hour}, {30 * day, day}, {LadderEnd, 7 * day}}
}

// End returns the age from which on a post is read no more.
func (l Ladder) End() time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[len(l)-1].Younger
}

// Next returns when a post is due again that was published at one instant and read at another, zero where it has left
// the ladder. Its last turn comes as it leaves, so that its last days are told too; a run that comes later than that
// finds it gone. A post published after its reading, as some clients claim, counts as published at the reading.
func (l Ladder) Next(published, read time.Time) time.Time {
	age := max(0, read.Sub(published))
	for _, r := range l {
		if age < r.Younger {
			return read.Add(min(r.Every, l.End()-age))
		}
	}
	return time.Time{}
}

// NextDue is Next of the default ladder.
func NextDue(published, read time.Time) time.Time { return DefaultLadder().Next(published, read) }
