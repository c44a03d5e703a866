package schedule

import (
	"container/heap"
	"time"
)

// queue holds accounts that wait for their run, by server: servers take turns, and a group never mixes two.
type queue struct {
	waiting map[uint32][]int64
	turn    []uint32 // servers that have someone waiting, in the order of their turns
}

func (q *queue) push(e entry) {
	if q.waiting == nil {
		q.waiting = map[uint32][]int64{}
	}
	if len(q.waiting[e.host]) == 0 {
		q.turn = append(q.turn, e.host)
	}
	q.waiting[e.host] = append(q.waiting[e.host], e.ref)
}

// pop takes up to n accounts of the server whose turn it is.
func (q *queue) pop(n int) []int64 {
	if len(q.turn) == 0 {
		return nil
	}
	host := q.turn[0]
	q.turn = q.turn[1:]
	all := q.waiting[host]
	k := min(n, len(all))
	group := all[:k:k]
	if k == len(all) {
		delete(q.waiting, host)
	} else {
		q.waiting[host] = all[k:]
		q.turn = append(q.turn, host)
	}
	return group
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

// due takes out everything up to now.
func (l *later) due(now time.Time) (out []entry) {
	for len(*l) > 0 && !(*l)[0].at.After(now) {
		if a, ok := heap.Pop(l).(appointment); ok {
			out = append(out, a.entry)
		}
	}
	return out
}
