package pipeline_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/pipelinetest"
	"jauge.dev/jauge/storage/storagetest"
)

// This file holds laws that need no oracle: what must be true of the stored rows whatever they are.

func played(t *testing.T, h *pipelinetest.History, steps []pipelinetest.Step) *player {
	t.Helper()
	p, err := newPlayer(h)
	if err == nil {
		err = p.play(t.Context(), steps)
	}
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	return p
}

func byKey(rows []jauge.Record) map[string]jauge.Record {
	out := map[string]jauge.Record{}
	for _, r := range rows {
		out[r.Key()] = r
	}
	return out
}

func complain(t *testing.T, h *pipelinetest.History, what string, d []string) {
	t.Helper()
	if len(d) > 0 {
		t.Errorf("%s: %s: %d differences\n%s", h.Name, what, len(d), strings.Join(d[:min(len(d), 10)], "\n"))
	}
}

// TestOrderDoesNotMatter: two random orders leave the same rows.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(*histories / 4) {
		h := pipelinetest.Generate(*firstSeed + 1000 + seed)
		for _, d := range pipelinetest.Deliveries() {
			if d.Name == "shuffled" {
				a := played(t, h, d.Steps(h.Pages, rand.New(rand.NewPCG(seed, 1))))
				b := played(t, h, d.Steps(h.Pages, rand.New(rand.NewPCG(seed, 2))))
				complain(t, h, "two orders", pipelinetest.Diff(byKey(a.rows()), b.rows()))
			}
		}
	}
}

// TestRepetitionWritesNothing: what was processed already changes nothing, and days and KPIs that did not change are
// not written again, by the same pipeline and by a new one.
func TestRepetitionWritesNothing(t *testing.T) {
	for seed := range uint64(*histories / 4) {
		h := pipelinetest.Generate(*firstSeed + 2000 + seed)
		p := played(t, h, []pipelinetest.Step{{Pages: h.Pages}})
		before := p.rows()
		var written []string
		p.store.Fault(func(op storagetest.Op, _ int, rows []jauge.Record) error {
			for _, r := range rows {
				if m := r.Schema.Measurement; op == storagetest.OpWrite && (m == jauge.SocialKPI || m == jauge.SocialPostDaily) || op == storagetest.OpDelete {
					written = append(written, fmt.Sprintf("%s %q", op, r.Key()))
				}
			}
			return nil
		})
		if err := p.play(t.Context(), []pipelinetest.Step{{Pages: h.Pages}, {Pages: h.Pages, Anew: true}}); err != nil {
			t.Fatal(err)
		}
		complain(t, h, "rows after repetition", pipelinetest.Diff(byKey(before), p.rows()))
		complain(t, h, "written again", written)
	}
}

// TestOneWritePerBatch: within one batch no KPI and no day is written twice.
func TestOneWritePerBatch(t *testing.T) {
	for seed := range uint64(*histories / 4) {
		h := pipelinetest.Generate(*firstSeed + 3000 + seed)
		p, err := newPlayer(h)
		if err != nil {
			t.Fatal(err)
		}
		times := map[string]int{}
		p.store.Fault(func(op storagetest.Op, _ int, rows []jauge.Record) error {
			for _, r := range rows {
				if m := r.Schema.Measurement; op == storagetest.OpWrite && (m == jauge.SocialKPI || m == jauge.SocialPostDaily) {
					times[r.Key()]++
				}
			}
			return nil
		})
		if err := p.process(t.Context(), h.Pages); err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(times, func(_ string, n int) bool { return n == 1 })
		complain(t, h, "written more than once", slices.Sorted(maps.Keys(times)))
	}
}

// TestDaysAddUp: over all days a post's likes are its last count less its first, and the first too where it was published
// on the day of that reading: without complete readings nothing else counts from 0.
func TestDaysAddUp(t *testing.T) {
	for seed := range uint64(*histories / 2) {
		h := pipelinetest.Generate(*firstSeed + 4000 + seed)
		want := map[string]float64{}
		for i := range h.Pages {
			h.Pages[i].Complete = false
		}
		last := map[string]float64{}
		for _, p := range h.Pages {
			for _, o := range p.Observations {
				i := slices.IndexFunc(o.Values, func(v jauge.WireValue) bool { return v.Wire == "hearts" })
				if o.Object != jauge.ObjectPost || i < 0 {
					continue
				}
				zone, at := h.Mappings[p.Platform].Zone, o.Post.PublishedAt
				if at.After(p.ObservedAt) {
					at = p.ObservedAt
				}
				before, again := last[o.ID]
				if again || jauge.DayOf(at, zone) == jauge.DayOf(p.ObservedAt, zone) {
					want[p.Account] += o.Values[i].Value - before
				}
				last[o.ID] = o.Values[i].Value
			}
		}
		p := played(t, h, []pipelinetest.Step{{Pages: h.Pages}})
		got := map[string]float64{}
		for _, r := range p.store.All(jauge.SocialPostDaily) {
			likes, _ := r.Float("likes")
			got[r.Tag("account")] += likes
		}
		for account, sum := range want {
			if got[account] != sum {
				t.Errorf("%s: %s gained %v likes in all, its days say %v", h.Name, account, sum, got[account])
			}
		}
	}
}

// TestDeadLetter: a page that cannot be normalised costs its own readings and its run's mark, until it is replayed.
func TestDeadLetter(t *testing.T) {
	tried := 0
	for seed := range uint64(*histories * 2) {
		if tried > *histories/4 {
			break
		}
		h := pipelinetest.Generate(*firstSeed + 5000 + seed)
		// A run that is marked on another page than the one that is to be lost, which is not its only gauge reading.
		lost := slices.IndexFunc(h.Pages, func(p jauge.Page) bool {
			return !p.Complete && p.Seq > 0 && slices.ContainsFunc(h.Pages, func(q jauge.Page) bool {
				return q.Run == p.Run && q.Key() == p.Key() && q.Complete
			})
		})
		if lost < 0 {
			continue
		}
		tried++
		page := h.Pages[lost]
		without := *h
		without.Pages = nil
		var marks []jauge.Page
		for i, p := range h.Pages {
			if p.Run == page.Run && p.Key() == page.Key() && p.Complete {
				marks = append(marks, p)
				p.Complete = false
			}
			if i != lost {
				without.Pages = append(without.Pages, p)
			}
		}
		p, err := newPlayer(h)
		if err != nil {
			t.Fatal(err)
		}
		msgs := messages(h.Pages)
		msgs[lost] = pipeline.Message{
			Page: jauge.Page{Platform: page.Platform, Account: page.Account, Run: page.Run}, Err: errors.New("torn"),
		}
		letters, err := p.line.Process(t.Context(), msgs)
		if err != nil || !slices.ContainsFunc(letters, func(l pipeline.Letter) bool { return strings.Contains(l.Reason, "torn") }) {
			t.Fatalf("%s: letters %v, error %v", h.Name, letters, err)
		}
		complain(t, h, "without the lost page", pipelinetest.Diff(without.Oracle().Rows(without.Pages), p.rows()))
		if err := p.anew(); err != nil { // which page was lost is known to the journal alone: with the letter gone nothing is void
			t.Fatal(err)
		}
		if err := p.process(t.Context(), append([]jauge.Page{page}, marks...)); err != nil {
			t.Fatalf("%s: replay: %v", h.Name, err)
		}
		complain(t, h, "after the replay", pipelinetest.Diff(h.Oracle().Rows(h.Pages), p.rows()))
	}
	if tried == 0 {
		t.Error("no history has a run to lose a page of")
	}
}

// TestTooOld: a reading from beyond the retention changes no row.
func TestTooOld(t *testing.T) {
	for seed := range uint64(*histories / 4) {
		h := pipelinetest.Generate(*firstSeed + 6000 + seed)
		if len(h.Pages) == 0 {
			continue
		}
		p := played(t, h, []pipelinetest.Step{{Pages: h.Pages}})
		before := p.rows()
		late := h.Pages[len(h.Pages)-1]
		late.Run, late.Seq = "late", 0
		late.RunStart = late.RunStart.Add(-pipelinetest.Retention - time.Hour)
		late.ObservedAt = late.ObservedAt.Add(-pipelinetest.Retention - time.Hour)
		if err := p.play(t.Context(), []pipelinetest.Step{{Pages: []jauge.Page{late}}, {Pages: []jauge.Page{late}, Anew: true}}); err != nil {
			t.Fatal(err)
		}
		complain(t, h, "rows after a reading that is too old", pipelinetest.Diff(byKey(before), p.rows()))
	}
}

// TestFrozenDays: in a long history whose old readings leave the store, days beyond the retention stay as they are, save
// for posts_published, and all others are as if nothing had been forgotten.
func TestFrozenDays(t *testing.T) {
	const retention = 8 * 24 * time.Hour
	for seed := range uint64(*histories / 2) {
		h := pipelinetest.Generate(*firstSeed + 7000 + seed)
		p, err := newPlayer(h)
		if err != nil {
			t.Fatal(err)
		}
		p.config.HistoryRetention = retention
		p.store.SetHistoryRetention(retention)
		if err := p.anew(); err != nil {
			t.Fatal(err)
		}
		frozen := map[string]jauge.Record{}
		newest := map[string]time.Time{}
		for _, page := range h.Pages {
			if err := p.process(t.Context(), []jauge.Page{page}); err != nil {
				t.Fatal(err)
			}
			newest[page.Account] = page.ObservedAt
			if err := p.store.Prune(t.Context(), page.ObservedAt.Add(-retention-time.Hour)); err != nil {
				t.Fatal(err)
			}
			for _, r := range p.store.All(jauge.SocialPostDaily) {
				if _, known := frozen[r.Key()]; !known && time.Unix(0, r.Time).Before(newest[r.Tag("account")].Add(-retention-49*time.Hour)) {
					frozen[r.Key()] = r
				}
			}
		}
		young := func(r jauge.Record) bool {
			return r.Schema.Measurement == jauge.SocialPostDaily && !time.Unix(0, r.Time).Before(newest[r.Tag("account")].Add(-retention))
		}
		want := h.Oracle().Rows(h.Pages)
		maps.DeleteFunc(want, func(_ string, r jauge.Record) bool { return !young(r) })
		got := p.rows()
		complain(t, h, "young days", pipelinetest.Diff(want, slices.DeleteFunc(slices.Clone(got), func(r jauge.Record) bool { return !young(r) })))
		kept := byKey(got)
		for k, r := range frozen {
			g := kept[k]
			for _, m := range []string{"likes", "comments", "shares"} {
				was, _ := r.Float(m)
				if is, _ := g.Float(m); is != was {
					t.Errorf("%s: frozen day %s of %s: %s was %v and is %v", h.Name, r.Text("day"), r.Tag("account"), m, was, is)
				}
			}
		}
	}
}
