package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"
)

// scan gives the messages of a stream whose subject matches, in order, up to those there were when it began. An error
// is the last value.
func scan(ctx context.Context, st jetstream.Stream, filter string) iter.Seq2[*jetstream.RawStreamMsg, error] {
	return func(yield func(*jetstream.RawStreamMsg, error) bool) {
		info, err := st.Info(ctx)
		if err != nil {
			yield(nil, fmt.Errorf("read stream: %w", err))
			return
		}
		last := info.State.LastSeq
		for seq := max(info.State.FirstSeq, 1); seq <= last; seq++ {
			m, err := st.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("read message %d: %w", seq, err))
				return
			}
			if m.Sequence > last || !yield(m, nil) {
				return
			}
			seq = m.Sequence
		}
	}
}
