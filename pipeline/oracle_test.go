package pipeline_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	_ "time/tzdata" // the histories live in many zones

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/pipelinetest"
	"jauge.dev/jauge/storage/storagetest"
)

var (
	histories = flag.Int("oracle.histories", 30, "how many random histories the pipeline is compared with the oracle on")
	shrinking = flag.Int("oracle.shrink", 150, "how often a smaller history is tried where one fails")
	firstSeed = flag.Uint64("oracle.seed", 0, "seed of the first random history")
)

// player drives a pipeline with a history.
type player struct {
	history *pipelinetest.History
	store   *storagetest.Mem
	seen    pipeline.Store // what the pipeline sees of the store
	config  pipeline.Config
	line    *pipeline.Pipeline
}

func newPlayer(h *pipelinetest.History) (*player, error) {
	p := &player{history: h, store: storagetest.NewMem()}
	p.seen = p.store
	p.config = pipeline.Config{
		Mappings: h.Mappings, HistoryRetention: pipelinetest.Retention, LadderEnd: pipelinetest.Ladder,
		CacheBytes: 1 << 20, Weights: h.Weights,
	}
	return p, p.anew()
}

// anew throws the pipeline away and makes another one over the same store.
func (p *player) anew() error {
	line, err := pipeline.New(p.config, pipeline.Deps{
		Store: p.seen, Directory: p.history, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return fmt.Errorf("make pipeline: %w", err)
	}
	p.line = line
	return nil
}

func messages(pages []jauge.Page) []pipeline.Message {
	out := make([]pipeline.Message, len(pages))
	for i, page := range pages {
		out[i] = pipeline.Message{Page: page}
	}
	return out
}

// process hands over one batch, which must leave no dead letter.
func (p *player) process(ctx context.Context, pages []jauge.Page) error {
	letters, err := p.line.Process(ctx, messages(pages))
	if err != nil {
		return fmt.Errorf("process: %w", err)
	}
	if len(letters) > 0 {
		return fmt.Errorf("process: %d dead letters, the first says %q", len(letters), letters[0].Reason)
	}
	return nil
}

func (p *player) play(ctx context.Context, steps []pipelinetest.Step) error {
	for _, s := range steps {
		if s.Anew {
			if err := p.anew(); err != nil {
				return err
			}
		}
		if s.Forget {
			p.line.Forget()
		}
		if err := p.process(ctx, s.Pages); err != nil {
			return err
		}
	}
	return nil
}

// rows gives everything that is stored.
func (p *player) rows() []jauge.Record {
	var out []jauge.Record
	for _, s := range jauge.Schemas() {
		out = append(out, p.store.All(s.Measurement)...)
	}
	return out
}

// scenario plays a history in some way and gives what is stored in the end.
type scenario func(ctx context.Context, h *pipelinetest.History) ([]jauge.Record, error)

func deliver(d pipelinetest.Delivery, seed uint64) scenario {
	return func(ctx context.Context, h *pipelinetest.History) ([]jauge.Record, error) {
		p, err := newPlayer(h)
		if err != nil {
			return nil, err
		}
		err = p.play(ctx, d.Steps(h.Pages, rand.New(rand.NewPCG(seed, 7))))
		return p.rows(), err
	}
}

// compare fails the test where a scenario does not leave the oracle's rows, and shows the smallest history that it can
// find for it.
func compare(t *testing.T, h *pipelinetest.History, how string, play scenario) {
	t.Helper()
	differs := func(h *pipelinetest.History) []string {
		got, err := play(t.Context(), h)
		if err != nil {
			return []string{err.Error()}
		}
		return pipelinetest.Diff(h.Oracle().Rows(h.Pages), got)
	}
	d := differs(h)
	if len(d) == 0 {
		return
	}
	small := h.Shrink(*shrinking, func(h *pipelinetest.History) bool { return len(differs(h)) > 0 })
	left := differs(small)
	t.Errorf("%s, %s: %d differences; %d in a smaller history:\n%s\n%s", h.Name, how, len(d), len(left),
		strings.Join(left[:min(len(left), 12)], "\n"), small)
}

// TestOracle compares the pipeline with the oracle, row by row and field by field, on random histories that reach it
// in random ways.
func TestOracle(t *testing.T) {
	ways := pipelinetest.Deliveries()
	for i := range uint64(*histories) {
		seed := *firstSeed + i
		h := pipelinetest.Generate(seed)
		for _, d := range []pipelinetest.Delivery{ways[i%uint64(len(ways))], ways[(i/3+5)%uint64(len(ways))]} {
			t.Run(fmt.Sprintf("%d %s", seed, d.Name), func(t *testing.T) {
				t.Parallel()
				compare(t, h, d.Name, deliver(d, seed))
			})
		}
	}
}

// TestFailingStore: a store that fails now and then, temporarily, costs nothing but repetition.
func TestFailingStore(t *testing.T) {
	for i := range uint64(*histories / 4) {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			compare(t, pipelinetest.Generate(seed), "failing store", func(ctx context.Context, h *pipelinetest.History) ([]jauge.Record, error) {
				p, err := newPlayer(h)
				if err != nil {
					return nil, err
				}
				r := rand.New(rand.NewPCG(seed, 11))
				var tries int
				p.store.Fault(func(op storagetest.Op, _ int, _ []jauge.Record) error {
					if tries >= 8 || r.IntN(6) != 0 {
						return nil
					}
					return &jauge.Error{Op: string(op), Reason: jauge.ReasonNetwork}
				})
				err = p.patiently(ctx, h, r, &tries)
				p.store.Fault(nil)
				return p.rows(), err
			})
		})
	}
}

// patiently repeats each batch until it is taken; tries counts how often it was not.
func (p *player) patiently(ctx context.Context, h *pipelinetest.History, r *rand.Rand, tries *int) error {
	for _, d := range pipelinetest.Deliveries()[3].Steps(h.Pages, r) {
		*tries = 0
		err := p.process(ctx, d.Pages)
		for err != nil && *tries < 8 {
			*tries++
			err = p.process(ctx, d.Pages)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestCrash: after a crash in the middle of any write, a new pipeline that is given the unsettled messages again, and
// some settled ones, leaves the same rows.
func TestCrash(t *testing.T) {
	for i := range uint64(*histories / 2) {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			compare(t, pipelinetest.Generate(seed), "crashes", crashing(seed))
		})
	}
}

func crashing(seed uint64) scenario {
	return func(ctx context.Context, h *pipelinetest.History) ([]jauge.Record, error) {
		p, err := newPlayer(h)
		if err != nil {
			return nil, err
		}
		r := rand.New(rand.NewPCG(seed, 13))
		breaking := pipelinetest.NewBreaking(p.store, r)
		p.seen = breaking
		if err := p.anew(); err != nil {
			return nil, err
		}
		settled := 0
		for settled < len(h.Pages) {
			to := min(settled+1+r.IntN(8), len(h.Pages))
			if r.IntN(2) == 0 {
				breaking.Break(r.IntN(4))
			}
			err := p.process(ctx, h.Pages[settled:to])
			crashed := breaking.Mend()
			switch {
			case err == nil:
				settled = to
			case !crashed || !errors.Is(err, pipelinetest.ErrBroken):
				return nil, err
			default:
				if err := p.anew(); err != nil {
					return nil, err
				}
				settled = max(0, settled-r.IntN(4)) // the journal had not settled all of them
			}
		}
		return p.rows(), nil
	}
}

// FuzzHistory turns bytes into a small history and compares what two deliveries of it leave with the oracle's rows.
func FuzzHistory(f *testing.F) {
	f.Add([]byte("a first history of an account and its posts, and what became of them"))
	f.Add([]byte{2, 0, 99, 0, 3, 0, 7, 0, 9, 0, 200, 1, 4, 0, 50, 0, 60, 0, 70, 0, 80, 0, 90, 0, 95, 0, 99, 0, 1, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := pipelinetest.FromBytes(b[:min(len(b), 2000)])
		ways := pipelinetest.Deliveries()
		for _, d := range []pipelinetest.Delivery{ways[1], ways[5]} {
			compare(t, h, d.Name, deliver(d, uint64(len(b))))
		}
	})
}
