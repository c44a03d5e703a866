package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/pipeline"
)

// early is a journal that is asked while its caller is being stopped.
type early struct {
	pipeline.Source
	err error
}

func (e early) Buried(context.Context) ([]pipeline.Letter, error) { return nil, e.err }

// TestStoppedBeforeItBegan: a command that has nothing to do ends while the pipeline beside it still starts.
func TestStoppedBeforeItBegan(t *testing.T) {
	t.Parallel()
	p, err := pipeline.New(pipeline.Config{
		Mappings: map[jauge.Platform]jauge.Mapping{jauge.Bluesky: bluesky.Platform.Mapping}, HistoryRetention: time.Hour, LadderEnd: time.Hour,
		CacheBytes: 1 << 20,
	}, pipeline.Deps{Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := p.Run(t.Context(), early{err: broken}); !errors.Is(err, broken) {
		t.Errorf("a journal that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx, early{err: &jauge.Error{Op: "list", Reason: jauge.ReasonCanceled, Err: ctx.Err()}}); err != nil {
		t.Errorf("told to end before it began: %v", err)
	}
}
