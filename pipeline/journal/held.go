package journal

import (
	"context"
	"fmt"
	"sync"
)

// message is one delivered message. It is held from its delivery until it has been settled, so that a second
// delivery, after AckWait or from a reopened server, can be told from a new message and keeps the first one's place.
type message struct {
	seq     uint64 // in the work stream; survives the server
	subject string
	id      string
	replay  bool // published again from archive or dead letters
	data    []byte

	// Guarded by held.mu: the newest delivery's way to acknowledge, and the session that it belongs to.
	reply   string
	gen     int
	settled bool
}

// held is all messages delivered and not settled, and among them the queue of those that Next has not given out.
type held struct {
	mu     sync.Mutex
	bySeq  map[uint64]*message
	queue  []*message
	queued int           // bytes in queue
	ready  chan struct{} // tells Next that the queue has grown
	room   chan struct{} // tells the pump that it has shrunk
}

func (h *held) init() {
	h.bySeq = make(map[uint64]*message)
	h.ready, h.room = make(chan struct{}, 1), make(chan struct{}, 1)
}

func (h *held) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue, h.queued = nil, 0
	clear(h.bySeq)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add takes a delivery. One of a message that is held already renews its reply only. A place that now has another
// message, because a server lost what it had not acknowledged, is the new one's: the old one is nobody's any more, and
// its collector appends it again.
func (h *held) add(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.bySeq[m.seq]; old != nil {
		if old.id == m.id {
			old.reply, old.gen = m.reply, m.gen
			return
		}
		old.settled = true
	}
	h.bySeq[m.seq] = m
	h.queue = append(h.queue, m)
	h.queued += len(m.data)
	signal(h.ready)
}

// take gives out the next messages, at most n; it waits for the first.
func (h *held) take(ctx context.Context, n int) ([]*message, error) {
	for {
		if got := h.pop(n); len(got) > 0 {
			return got, nil
		}
		select {
		case <-h.ready:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for messages: %w", context.Cause(ctx))
		}
	}
}

func (h *held) pop(n int) []*message {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, len(h.queue))
	out := make([]*message, n)
	copy(out, h.queue)
	clear(h.queue[:n])
	h.queue = h.queue[n:]
	if len(h.queue) == 0 {
		h.queue = nil
	}
	for _, m := range out {
		h.queued -= len(m.data)
	}
	signal(h.room)
	return out
}

// waitRoom waits until at most limit bytes are queued; it is false when ctx ended.
func (h *held) waitRoom(ctx context.Context, limit int) bool {
	for {
		h.mu.Lock()
		queued := h.queued
		h.mu.Unlock()
		if queued <= limit {
			return ctx.Err() == nil
		}
		select {
		case <-h.room:
		case <-ctx.Done():
			return false
		}
	}
}

// ack is how one message is acknowledged.
type ack struct {
	m     *message
	reply string
	fresh bool // reply belongs to the session asked for
}

// acks gives the way to acknowledge each message that is not settled.
func (h *held) acks(msgs []*message, gen int) []ack {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]ack, 0, len(msgs))
	for _, m := range msgs {
		if !m.settled {
			out = append(out, ack{m, m.reply, m.gen == gen})
		}
	}
	return out
}

// drop forgets messages that were settled.
func (h *held) drop(msgs []ack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range msgs {
		a.m.settled, a.m.data = true, nil
		if h.bySeq[a.m.seq] == a.m {
			delete(h.bySeq, a.m.seq)
		}
	}
}

// replies lists the replies of a session's messages.
func (h *held) replies(gen int) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]string, 0, len(h.bySeq))
	for _, m := range h.bySeq {
		if m.gen == gen {
			out = append(out, m.reply)
		}
	}
	return out
}
