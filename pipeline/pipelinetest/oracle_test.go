package pipelinetest_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	_ "time/tzdata"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline/pipelinetest"
)

func measurements(rows map[string]jauge.Record) map[jauge.Measurement]int {
	n := map[jauge.Measurement]int{}
	for _, r := range rows {
		n[r.Schema.Measurement]++
	}
	return n
}

// TestRowsAreStorable: the oracle makes nothing that a store refuses, and its histories reach every measurement.
func TestRowsAreStorable(t *testing.T) {
	seen := map[jauge.Measurement]int{}
	var estimated, negative, complete, final int
	for seed := range uint64(40) {
		h := pipelinetest.Generate(seed)
		rows := h.Oracle().Rows(h.Pages)
		for _, r := range rows {
			if err := r.Validate(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if r.Schema.Measurement == jauge.SocialPostDaily {
				likes, _ := r.Float("likes")
				estimated, negative, final = estimated+count(r.Flag("estimated")), negative+count(likes < 0), final+count(r.Flag("final"))
			}
			complete += count(r.Flag("complete"))
		}
		for m, n := range measurements(rows) {
			seen[m] += n
		}
	}
	if len(seen) != len(jauge.Schemas()) || estimated == 0 || negative == 0 || complete == 0 || final == 0 {
		t.Errorf("histories are too tame: %v, %d estimated, %d negative, %d complete, %d final", seen, estimated, negative, complete, final)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestRowsAreAFunctionOfTheSet: order and repetition change nothing.
func TestRowsAreAFunctionOfTheSet(t *testing.T) {
	for seed := range uint64(20) {
		h := pipelinetest.Generate(seed)
		want := h.Oracle().Rows(h.Pages)
		pages := append(slices.Clone(h.Pages), h.Pages...)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
		got := h.Oracle().Rows(pages)
		if d := pipelinetest.Diff(want, slices.Collect(maps.Values(got))); len(d) > 0 {
			t.Errorf("seed %d:\n%s", seed, strings.Join(d[:min(len(d), 10)], "\n"))
		}
	}
}

// TestGenerateRepeats: a seed makes the same history whenever it is used.
func TestGenerateRepeats(t *testing.T) {
	for seed := range uint64(10) {
		if a, b := pipelinetest.Generate(seed).String(), pipelinetest.Generate(seed).String(); a != b {
			t.Errorf("seed %d made two histories", seed)
		}
	}
}

// TestVersionsRise: the histories keep what the scheduler promises.
func TestVersionsRise(t *testing.T) {
	for seed := range uint64(60) {
		h := pipelinetest.Generate(seed)
		newest, start := map[jauge.Key]int64{}, map[jauge.Key]int64{}
		read := map[string]int64{}
		for _, p := range h.Pages {
			at := p.ObservedAt.UnixNano()
			if at <= newest[p.Key()] || p.RunStart.UnixNano() < start[p.Key()] || p.RunStart.UnixNano() > at {
				t.Fatalf("seed %d: %s at %s of the run at %s comes too early", seed, p.Key(), p.ObservedAt, p.RunStart)
			}
			newest[p.Key()], start[p.Key()] = at, p.RunStart.UnixNano()
			for _, o := range p.Observations {
				if o.Object == jauge.ObjectPost && read[o.ID]/1e9 == at/1e9 {
					t.Fatalf("seed %d: %s is read twice in a second", seed, o.ID)
				}
				read[o.ID] = at
			}
		}
		for k, first := range newest {
			if math.Abs(float64(first-h.Pages[0].ObservedAt.UnixNano())) > float64(pipelinetest.Retention) {
				t.Fatalf("seed %d: %s is read beyond the retention", seed, k)
			}
		}
	}
}
