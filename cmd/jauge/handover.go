package main

import (
	"context"
	"slices"
	"sync"

	"jauge.dev/jauge/pipeline"
)

// handover is the journal as a source for one pipeline after another: what one took and did not settle is handed to
// the next one first, in the same order. The journal itself would deliver it only after it was opened anew.
type handover struct {
	src pipeline.Source

	mu    sync.Mutex
	taken []pipeline.Message // handed out and not settled
	back  []pipeline.Message // to be handed out again
}

// next begins with a new pipeline.
func (h *handover) next() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.back = append(h.taken, h.back...)
	h.taken = nil
}

// Next hands out what another pipeline left, then what the journal has.
func (h *handover) Next(ctx context.Context, most int) ([]pipeline.Message, error) {
	h.mu.Lock()
	n := min(most, len(h.back))
	msgs := slices.Clone(h.back[:n])
	h.back = h.back[n:]
	h.taken = append(h.taken, msgs...)
	h.mu.Unlock()
	if n > 0 {
		return msgs, nil
	}
	msgs, err := h.src.Next(ctx, most)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = append(h.taken, msgs...)
	return msgs, err
}

// Settle settles messages: nobody is handed them again.
func (h *handover) Settle(ctx context.Context, msgs []pipeline.Message) error {
	if err := h.src.Settle(ctx, msgs); err != nil {
		return err
	}
	done := make(map[any]bool, len(msgs))
	for i := range msgs {
		done[msgs[i].Token] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = slices.DeleteFunc(h.taken, func(m pipeline.Message) bool { return done[m.Token] })
	return nil
}

// Bury keeps dead letters.
func (h *handover) Bury(ctx context.Context, letters []pipeline.Letter) error {
	return h.src.Bury(ctx, letters)
}

// Buried lists dead letters.
func (h *handover) Buried(ctx context.Context) ([]pipeline.Letter, error) { return h.src.Buried(ctx) }
