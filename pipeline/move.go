package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// moveBatch is how many rows are moved at once.
const moveBatch = 2000

// Move gives all rows of an account that stand under another brand to the brand that the directory names now, and
// brings the roll-ups of both up to date. It may be stopped and repeated at any point.
func (p *Pipeline) Move(ctx context.Context, key jauge.Key, from string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := p.brandOf(key)
	if to == from {
		return nil
	}
	if err := p.barrier(ctx); err != nil {
		return err
	}
	p.forget()
	first, last := jauge.Day(math.MaxInt32), jauge.Day(math.MinInt32)
	for _, s := range jauge.Schemas() {
		if s.Tag("account") < 0 || s.Tag("brand") < 0 {
			continue
		}
		if err := p.moveRows(ctx, s, key, from, to, func(r *jauge.Record) {
			if s == kpiSchema {
				d := dayOf(r.Time, time.UTC)
				first, last = min(first, d), max(last, d)
			}
		}); err != nil {
			return fmt.Errorf("move %s of %s from brand %s to %s: %w", s.Measurement, key, from, to, err)
		}
	}
	if last < first {
		return nil
	}
	for _, name := range []string{from, to} {
		if err := p.rollUpDays(ctx, name, first, last); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) moveRows(ctx context.Context, s *jauge.Schema, key jauge.Key, from, to string, seen func(*jauge.Record)) error {
	q := jauge.Query{Measurement: s.Measurement, Limit: moveBatch, Match: map[string][]string{
		"brand": {from}, "platform": {string(key.Platform)}, "account": {key.Account},
	}}
	brand := s.Tag("brand")
	for {
		var old, moved []jauge.Record
		for r, err := range p.store.Read(ctx, q) {
			if err != nil {
				return err
			}
			seen(&r)
			m := r
			m.Tags = slices.Clone(r.Tags)
			m.Tags[brand] = to
			old, moved = append(old, r), append(moved, m)
		}
		if len(old) == 0 {
			return nil
		}
		if err := p.store.Write(ctx, moved); err != nil {
			return err
		}
		if err := p.store.Delete(ctx, old); err != nil {
			return err
		}
	}
}

// RollUp brings a brand's roll-ups up to date for the windows that end on or after a day, after an account has left
// it or come back.
func (p *Pipeline) RollUp(ctx context.Context, name string, from jauge.Day) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := jauge.Day(math.MinInt32)
	for r, err := range p.store.Read(ctx, jauge.Query{
		Measurement: jauge.SocialKPI, Match: map[string][]string{"brand": {name}}, Desc: true, Limit: 1,
	}) {
		if err != nil {
			return err
		}
		last = dayOf(r.Time, time.UTC)
	}
	return p.rollUpDays(ctx, name, from, last)
}

// rollUpDays makes the roll-ups of all windows ending in [first, last] anew, some weeks at a time.
func (p *Pipeline) rollUpDays(ctx context.Context, name string, first, last jauge.Day) error {
	const step = 56
	for d := last; d >= first; d -= step {
		if err := p.barrier(ctx); err != nil {
			return err
		}
		delete(p.brands, name)
		from := max(first, d-step+1)
		b, err := p.loadBrand(ctx, name, from)
		if err != nil {
			return err
		}
		for end := from; end <= d; end++ {
			for wi := range windows {
				for ki := range p.kpis {
					b.changed[cellOf{end, int16(wi), int16(ki)}] = math.MaxUint32 //nolint:gosec // few windows and KPIs
				}
			}
		}
		out := rows{room: &room{}}
		p.rollUp(b, &out)
		if err := p.writePart(ctx, out.main, out.deletes); err != nil {
			p.forget()
			return err
		}
	}
	return nil
}
