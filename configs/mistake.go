package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that the operator must change: where it is, and what to do.
type Mistake struct { //nolint:errname // a mistake is the word that operators read
	File     string // empty for a variable or a flag
	Line     int    // from 1; 0 where the whole file is meant
	Variable string // the variable's or the flag's name; empty for a file
	Text     string // what is wrong and what to do, never with a secret's value
}

// Error gives "file:line: text" or "variable: text".
func (m Mistake) Error() string {
	switch {
	case m.Variable != "":
		return m.Variable + ": " + m.Text
	case m.File != "" && m.Line > 0:
		return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
	case m.File != "":
		return m.File + ": " + m.Text
	}
	return m.Text
}

// Mistakes are all mistakes of a configuration, in the order of variables, then of the file's lines.
type Mistakes []Mistake //nolint:errname // a mistake is the word that operators read

// Error writes one mistake a line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders the mistakes for reading and drops repeated ones.
func (ms Mistakes) sorted() Mistakes {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Variable, b.Variable),
		)
	})
	return slices.Compact(ms)
}

// nearest finds the known word that the given one was probably meant to be, "" where none is near.
func nearest(word string, known []string) string {
	best, at := "", 0
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d > max(1, len(k)/4) {
			continue
		}
		if best == "" || d < at || (d == at && k < best) {
			best, at = k, d
		}
	}
	return best
}

// didYouMean ends a sentence about an unknown word: with the nearest known one, else with all of them.
func didYouMean(word string, known []string) string {
	if n := nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "known are " + strings.Join(known, ", ")
}

// distance counts the letters to insert, drop, change or swap with their neighbour to get from a to b.
func distance(a, b string) int {
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}
