package pipelinetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// History is what was read of some accounts, in the order in which it was read.
type History struct {
	Name     string // how to make it again
	Mappings map[jauge.Platform]jauge.Mapping
	Members  []jauge.Member
	Weights  map[jauge.Platform]map[jauge.Metric]float64
	Pages    []jauge.Page
}

// Retention and Ladder are what a generated history fits into.
const (
	Retention = 90 * 24 * time.Hour
	Ladder    = 90 * 24 * time.Hour
)

// Oracle gives the oracle for the history's accounts.
func (h *History) Oracle() *Oracle {
	return &Oracle{Mappings: h.Mappings, Members: h.Members, Weights: h.Weights, LadderEnd: Ladder, Retention: Retention}
}

// Lookup finds an account: a history is its own pipeline.Directory.
func (h *History) Lookup(k jauge.Key) (jauge.Member, bool) {
	i := slices.IndexFunc(h.Members, func(m jauge.Member) bool { return m.Account.Key() == k })
	if i < 0 {
		return jauge.Member{}, false
	}
	return h.Members[i], true
}

// Brand lists the accounts of a brand.
func (h *History) Brand(name string) []jauge.Member {
	return slices.DeleteFunc(slices.Clone(h.Members), func(m jauge.Member) bool { return m.Account.Brand != name })
}

// String prints the history for people who must understand a failure.
func (h *History) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "history %s\n", h.Name)
	for _, m := range h.Members {
		zone := h.Mappings[m.Account.Platform].Zone
		fmt.Fprintf(&b, "  account %s brand %s zone %v", m.Account.Key(), m.Account.Brand, zone)
		if m.Gone {
			fmt.Fprintf(&b, " gone from %s on", m.Removed)
		}
		b.WriteByte('\n')
	}
	for _, p := range h.Pages {
		fmt.Fprintf(&b, "  %s %s %s page %d started %s", stamp(p.ObservedAt), p.Key(), p.Run, p.Seq, stamp(p.RunStart))
		if p.Complete {
			b.WriteString(" COMPLETE")
		}
		b.WriteByte('\n')
		for _, o := range p.Observations {
			fmt.Fprintf(&b, "    %s %s %s %s%s", o.Object, o.ID, o.Period, o.PostState, o.State)
			if !o.Start.IsZero() {
				fmt.Fprintf(&b, " from %s", stamp(o.Start))
			}
			if o.Post != nil {
				fmt.Fprintf(&b, " %s of %s", o.Post.Format, stamp(o.Post.PublishedAt))
			}
			for _, v := range o.Values {
				fmt.Fprintf(&b, " %s=%v", v.Wire, v.Value)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999999") }

// Shrink looks for a smaller history that still fails: it leaves out whole runs, then single pages, in ever smaller
// chunks, and gives up after so many tries.
func (h *History) Shrink(tries int, fails func(*History) bool) *History {
	small := *h
	try := func(pages []jauge.Page) bool {
		tries--
		candidate := *h
		candidate.Pages = pages
		if tries < 0 || !sound(pages) || !fails(&candidate) {
			return false
		}
		small = candidate
		return true
	}
	runs := func(p jauge.Page) string { return p.Run }
	pages := func(p jauge.Page) string { return fmt.Sprintf("%s/%d", p.Run, p.Seq) }
	for _, unit := range []func(jauge.Page) string{runs, pages} {
		for size := len(small.Pages); size > 0 && tries > 0; size /= 2 {
			drop(&small, size, unit, try)
		}
	}
	return &small
}

// sound tells whether every run that is marked as complete read the account's gauges, as complete runs do.
func sound(pages []jauge.Page) bool {
	read := map[string]bool{}
	for _, p := range pages {
		for _, o := range p.Observations {
			read[p.Run] = read[p.Run] || o.Object == jauge.ObjectAccount && o.Period == jauge.PeriodInstant
		}
	}
	return !slices.ContainsFunc(pages, func(p jauge.Page) bool { return p.Complete && !read[p.Run] })
}

// drop tries to leave out each stretch of so many units.
func drop(h *History, size int, unit func(jauge.Page) string, try func([]jauge.Page) bool) {
	var units []string
	for _, p := range h.Pages {
		if u := unit(p); !slices.Contains(units, u) {
			units = append(units, u)
		}
	}
	for i := 0; i < len(units); i += size {
		out := units[i:min(i+size, len(units))]
		left := slices.DeleteFunc(slices.Clone(h.Pages), func(p jauge.Page) bool { return slices.Contains(out, unit(p)) })
		if len(left) < len(h.Pages) {
			try(left)
		}
	}
}
