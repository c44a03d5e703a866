package main

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// progress says how far an operation came.
type progress struct {
	What  string `json:"what"`
	Done  int    `json:"done"`
	Total int    `json:"total,omitempty"`
	At    string `json:"at,omitempty"` // what it is at
}

// bar shows progress on a terminal, in one line that is written over; elsewhere it shows nothing.
type bar struct {
	w     io.Writer // nil: no terminal
	verb  string
	total int // where progress itself tells none

	mu   sync.Mutex
	last time.Time
	any  bool
}

const barEvery = 100 * time.Millisecond

func (c *cli) newBar(verb string) *bar {
	b := &bar{verb: verb}
	if isTerminal(c.stderr) {
		b.w = c.stderr
	}
	return b
}

// tell shows where the operation is, not more often than the eye can follow.
func (b *bar) tell(p progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w == nil || (time.Since(b.last) < barEvery && p.Done != p.Total) {
		return
	}
	b.last, b.any = time.Now(), true
	count := strconv.Itoa(p.Done)
	if total := max(p.Total, b.total); total > 0 && p.Done <= total {
		count = fmt.Sprintf("%d/%d", p.Done, total)
	}
	_, _ = fmt.Fprintf(b.w, "\r\x1b[K%s: %s %s %s", b.verb, count, p.What, oneLine(p.At))
}

// clear removes the line.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.any {
		_, _ = io.WriteString(b.w, "\r\x1b[K")
	}
}
