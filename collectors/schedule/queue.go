package schedule

import (
	"container/heap"
	"time"
)

// queue holds accounts that wait for their run, by server: servers take turns, and a group never mixes two.
type queue struct {
	waiting map[uint32][]int64
	parts   map[uint32][][]int64 // groups that were split by grant: they go before those that wait
	turn    []uint32             // servers that have someone waiting, in the order of their turns
}

// batch is a group of accounts of one server.
type batch struct {
	host   uint32
	refs   []int64
	parted bool // they were split by grant
}

func (q *queue) push(e entry) {
	if q.waiting == nil {
		q.waiting = map[uint32][]int64{}
	}
	q.takeTurn(e.host)
	q.waiting[e.host] = append(q.waiting[e.host], e.ref)
}

// takeTurn lets a server that has nobody waiting yet have a turn.
func (q *queue) takeTurn(host uint32) {
	if len(q.waiting[host]) == 0 && len(q.parts[host]) == 0 {
		q.turn = append(q.turn, host)
	}
}

// putBack lets the parts of a group wait, each as a group of its own.
func (q *queue) putBack(host uint32, parts [][]int64) {
	if q.parts == nil {
		q.parts = map[uint32][][]int64{}
	}
	q.takeTurn(host)
	q.parts[host] = append(q.parts[host], parts...)
}

// pop takes a part, or up to n accounts, of the server whose turn it is; ok is false where nobody waits.
func (q *queue) pop(n int) (b batch, ok bool) {
	if len(q.turn) == 0 {
		return batch{}, false
	}
	b.host = q.turn[0]
	q.turn = q.turn[1:]
	if parts := q.parts[b.host]; len(parts) > 0 {
		b.refs, b.parted = parts[0], true
		if q.parts[b.host] = parts[1:]; len(parts) == 1 {
			delete(q.parts, b.host)
		}
	} else {
		all := q.waiting[b.host]
		k := min(n, len(all))
		b.refs = all[:k:k]
		if q.waiting[b.host] = all[k:]; k == len(all) {
			delete(q.waiting, b.host)
		}
	}
	if len(q.waiting[b.host])+len(q.parts[b.host]) > 0 {
		q.turn = append(q.turn, b.host)
	}
	return b, true
}

// later holds runs that are due at an instant of their own: retries and runs to be caught up.
type later []appointment

type appointment struct {
	at time.Time
	entry
}

// Len, Less, Swap, Push and Pop make it a heap.
func (l later) Len() int           { return len(l) }
func (l later) Less(i, j int) bool { return l[i].at.Before(l[j].at) }
func (l later) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// Push appends.
func (l *later) Push(x any) {
	if a, ok := x.(appointment); ok {
		*l = append(*l, a)
	}
}

// Pop removes the last.
func (l *later) Pop() any {
	old := *l
	a := old[len(old)-1]
	*l = old[:len(old)-1]
	return a
}

func (l *later) put(at time.Time, e entry) { heap.Push(l, appointment{at, e}) }

// drop takes an account out.
func (l *later) drop(ref int64) {
	for i, a := range *l {
		if a.ref == ref {
			heap.Remove(l, i)
			return
		}
	}
}

// due takes out everything up to now.
func (l *later) due(now time.Time) (out []entry) {
	for len(*l) > 0 && !(*l)[0].at.After(now) {
		if a, ok := heap.Pop(l).(appointment); ok {
			out = append(out, a.entry)
		}
	}
	return out
}
