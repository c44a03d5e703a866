package oauth

import (
	"sync"
	"time"
)

// live tells whether an intent's holder may still be at it. Its dates are of the holder's clock: who has watched it for as
// long as it was taken for need not believe them.
func (in *intent) live(watched time.Duration, now time.Time) bool {
	return now.Before(in.Until) && watched < in.Until.Sub(in.At)
}

// graceOver tells whether what was sent first at a time may no longer be sent again. A quarter of the grace is left to the
// way there and to clocks that differ; a first time that lies further ahead than that is of a clock that nobody can use.
func (r Renewal) graceOver(first, now time.Time) bool {
	spare := r.Grace / 4
	return !now.Before(first.Add(r.Grace-spare)) || first.Sub(now) > spare
}

// fences remembers since when this vault has seen others' intents, by its own clock.
type fences struct {
	mu    sync.Mutex
	since map[string]sighting // by grant
}

type sighting struct {
	intent string
	at     time.Time
}

func newFences() *fences { return &fences{since: map[string]sighting{}} }

// watched is how long the intent of a record has been seen; the first look begins it.
func (f *fences) watched(r *record, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Intent == nil {
		delete(f.since, r.ID)
		return 0
	}
	s, ok := f.since[r.ID]
	if !ok || s.intent != r.Intent.ID {
		s = sighting{r.Intent.ID, now}
		f.since[r.ID] = s
	}
	return now.Sub(s.at)
}

func (f *fences) forget(grant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.since, grant)
}
