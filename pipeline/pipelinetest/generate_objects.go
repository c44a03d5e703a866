package pipelinetest

import (
	"fmt"
	"time"

	"jauge.dev/jauge"
)

// stateOnly is an account that answers with nothing but its state.
func (w *writer) stateOnly() jauge.Observation {
	o := jauge.Observation{Object: jauge.ObjectAccount, ID: w.member.Account.ID, Period: jauge.PeriodInstant}
	o.State = pick(w.dice, jauge.AccountSuspended, jauge.AccountMoved, jauge.AccountPrivate)
	if o.State == jauge.AccountMoved {
		o.MovedTo = "elsewhere.example"
	}
	return o
}

// account is the account's gauges.
func (w *writer) account() jauge.Observation {
	w.fans = max(0, w.fans+float64(w.from(-5, 20)))
	o := jauge.Observation{
		Object: jauge.ObjectAccount, ID: w.member.Account.ID, Period: jauge.PeriodInstant, State: jauge.AccountLive,
	}
	if !w.chance(5) {
		o.Values = append(o.Values, jauge.WireValue{Wire: "fans", Value: w.fans})
	}
	o.Values = append(o.Values, jauge.WireValue{Wire: "friends", Value: 7}, jauge.WireValue{Wire: "notes", Value: float64(len(w.posts))})
	return o
}

// periods are the figures of the last days, which change from reading to reading.
func (w *writer) periods() []jauge.Observation {
	if w.member.Account.Platform != galet || w.chance(30) {
		return nil
	}
	today := w.cal.day(w.now.UnixNano())
	var out []jauge.Observation
	for back := range jauge.Day(w.from(1, 3)) {
		out = append(out, w.figure(jauge.PeriodDay, today-back, back > 1, "people", "sights", "taps"))
	}
	if w.chance(30) {
		out = append(out, w.figure(jauge.PeriodDays28, today-28, w.chance(50), "people"))
	}
	return out
}

func (w *writer) figure(p jauge.Period, d jauge.Day, final bool, wires ...string) jauge.Observation {
	o := jauge.Observation{
		Object: jauge.ObjectAccount, ID: w.member.Account.ID, Period: p, Start: time.Unix(0, w.cal.start(d)).UTC(), Final: final,
	}
	for i, wire := range wires {
		k := fmt.Sprint(p, d, wire)
		if w.figures[k] == 0 || w.chance(25) {
			w.figures[k] += float64(w.from(1, 40))
		}
		if i == len(wires)-1 || !w.chance(10) {
			o.Values = append(o.Values, jauge.WireValue{Wire: wire, Value: w.figures[k]})
		}
	}
	return o
}

// publish adds posts: fresh ones, some from the future, and old ones that had not been seen.
func (w *writer) publish() {
	n := pick(w.dice, 0, 0, 0, 1, 1, 2)
	if w.runs == 1 {
		n = w.from(0, 4)
	}
	for range n {
		at := w.now.Add(-w.time(0, 8*time.Hour))
		switch k := w.below(100); {
		case k < 8:
			at = w.now.Add(w.time(time.Second, 5*time.Minute))
		case k < 25:
			at = w.now.Add(-w.time(8*time.Hour, 3*day))
		case k < 35 || w.runs == 1 && k < 80:
			at = w.now.Add(-w.time(3*day, 25*day))
		}
		if w.chance(50) {
			at = at.Truncate(time.Millisecond)
		}
		p := &source{
			id: fmt.Sprintf("at://%s/%d", w.member.Account.ID, len(w.posts)), state: jauge.PostLive,
			counters: map[string]float64{},
		}
		p.post = jauge.Post{
			PublishedAt: at.UTC(), Format: w.format(), Language: pick(w.dice, "fr", "en", ""),
			Permalink: "https://example.org/" + p.id, Excerpt: pick(w.dice, "Bonjour", "a\nb", ""),
		}
		p.post.Reply = p.post.Format == jauge.FormatReply
		w.posts = append(w.posts, p)
	}
}

func (w *writer) format() jauge.Format {
	return pick(w.dice, jauge.FormatText, jauge.FormatText, jauge.FormatImage, jauge.FormatVideo, jauge.FormatReply)
}

// readPosts reads most of the posts, newest first.
func (w *writer) readPosts() []jauge.Observation {
	var out []jauge.Observation
	for i := len(w.posts) - 1; i >= 0; i-- {
		p := w.posts[i]
		if len(p.counters) > 0 && w.chance(25) {
			continue // it was not due
		}
		if w.chance(5) && (len(p.counters) > 0 || w.chance(10)) { // its state alone, sometimes before it was ever seen
			p.state = pick(w.dice, jauge.PostDeleted, jauge.PostDeleted, jauge.PostHidden, jauge.PostLive)
			out = append(out, jauge.Observation{Object: jauge.ObjectPost, ID: p.id, Period: jauge.PeriodLifetime, PostState: p.state})
			continue
		}
		if p.state == jauge.PostDeleted && !w.chance(8) {
			continue
		}
		p.state = jauge.PostLive
		if w.chance(3) {
			p.state = jauge.PostHidden
		}
		if w.chance(4) && !p.post.Reply {
			p.post.Format = pick(w.dice, jauge.FormatText, jauge.FormatImage, jauge.FormatVideo)
		}
		out = append(out, w.readPost(p))
	}
	return out
}

func (w *writer) readPost(p *source) jauge.Observation {
	post := p.post
	o := jauge.Observation{
		Object: jauge.ObjectPost, ID: p.id, Period: jauge.PeriodLifetime, Post: &post, PostState: p.state,
	}
	for _, f := range w.mapping.Fields {
		if f.Object != jauge.ObjectPost {
			continue
		}
		w.move(p, f)
		if f.Varies && w.runs <= w.upgrade || f.Metric != jauge.Likes && w.chance(6) {
			continue
		}
		o.Values = append(o.Values, jauge.WireValue{Wire: f.Wire, Value: p.counters[f.Wire]})
	}
	if w.chance(5) {
		o.Values = append(o.Values, jauge.WireValue{Wire: "mystery", Value: 9})
	}
	return o
}

// move lets a counter rise, rest or fall. Seconds are no whole number.
func (w *writer) move(p *source, f jauge.Field) {
	v := p.counters[f.Wire]
	switch k := w.below(100); {
	case k < 30:
	case k < 70:
		v += float64(w.from(1, 5))
	case k < 85:
		v += float64(w.from(10, 3000))
	case k < 97:
		v = max(0, v-float64(w.from(1, 4)))
	default:
		v += 1e7
	}
	if f.Wire == "seconds" {
		v += 0.1234567
	}
	p.counters[f.Wire] = v
}
