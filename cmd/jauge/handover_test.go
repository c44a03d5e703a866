package main

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge/pipeline"
)

// counter is a source of numbered messages that never end.
type counter struct {
	n       int
	settled []int
}

func (c *counter) Next(_ context.Context, most int) ([]pipeline.Message, error) {
	if c.n > 8 {
		return nil, io.EOF
	}
	out := make([]pipeline.Message, most)
	for i := range out {
		out[i].Token = c.n
		c.n++
	}
	return out, nil
}

func (c *counter) Settle(_ context.Context, msgs []pipeline.Message) error {
	for _, m := range msgs {
		c.settled = append(c.settled, m.Token.(int)) //nolint:forcetypeassert // made above
	}
	return nil
}

func (c *counter) Bury(context.Context, []pipeline.Letter) error { return nil }

func (c *counter) Buried(context.Context) ([]pipeline.Letter, error) { return nil, nil }

func TestHandoverGivesTheNextPipelineWhatTheLastOneLeft(t *testing.T) {
	src := &counter{}
	h := &handover{src: src}
	take := func(most int) []int {
		t.Helper()
		msgs, err := h.Next(t.Context(), most)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]int, len(msgs))
		for i, m := range msgs {
			out[i] = m.Token.(int) //nolint:forcetypeassert // made above
		}
		return out
	}
	settle := func(tokens ...int) {
		t.Helper()
		msgs := make([]pipeline.Message, len(tokens))
		for i, n := range tokens {
			msgs[i].Token = n
		}
		if err := h.Settle(t.Context(), msgs); err != nil {
			t.Fatal(err)
		}
	}
	take(2) // 0 1
	take(2) // 2 3
	settle(0, 1)
	h.next()
	got := append(take(1), take(3)...) // 2, then 3 alone: what is new comes after what was left
	h.next()                           // stopped before it settled any
	got = append(got, take(9)...)
	got = append(got, take(1)...)
	if diff := cmp.Diff([]int{2, 3, 2, 3, 4}, got); diff != "" {
		t.Error("handed out (-want +got):\n" + diff)
	}
	settle(2, 3, 4)
	h.next()
	if diff := cmp.Diff([]int{5}, take(1)); diff != "" {
		t.Error("handed out after all was settled (-want +got):\n" + diff)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4}, src.settled); diff != "" {
		t.Error("settled (-want +got):\n" + diff)
	}
}
