package pipeline

import (
	"errors"
	"fmt"
	"math"
	"time"

	"jauge.dev/jauge"
)

// reading is an observation of a post in atoms.
type reading struct {
	post    string
	version int64     // the page's observed_at, Unix nanoseconds
	vals    []float64 // one for each atom, NaN where absent; nil for a reading of the state alone
	bears   uint64    // atoms that any observation of the page bears
	info    *jauge.Post
	state   string
	final   bool
}

// figure is an observation of an account, or of a period of it.
type figure struct {
	version int64
	start   int64 // run start for instants, start of the period else
	period  jauge.Period
	paid    bool
	final   bool
	state   jauge.AccountState
	movedTo string
	vals    []jauge.Value // columns of social_account; those of the history differ by the columns before the metrics
}

// normal is a page in canonical names.
type normal struct {
	page     *jauge.Page
	readings []reading
	figures  []figure
}

var errPage = errors.New("page cannot be normalised")

// normalise turns a page into canonical names. Wire names that the mapping does not know are counted by unknown, and
// are no error; an error means that the page as a whole goes to the dead letters.
func (pl *platform) normalise(pg *jauge.Page, unknown func(wire string)) (*normal, error) {
	if pg.Account == "" || pg.ObservedAt.IsZero() || pg.RunStart.IsZero() {
		return nil, fmt.Errorf("%w: account, observed_at or run start is missing", errPage)
	}
	n := &normal{page: pg}
	version := pg.ObservedAt.UnixNano()
	var bears uint64
	var arena []float64
	for i := range pg.Observations {
		o := &pg.Observations[i]
		switch o.Object {
		case jauge.ObjectPost:
			if len(arena) < len(pl.atoms) {
				arena = make([]float64, len(pl.atoms)*(len(pg.Observations)-i))
			}
			if n.readings == nil {
				n.readings = make([]reading, 0, len(pg.Observations)-i)
			}
			r, err := pl.reading(o, version, arena[:len(pl.atoms):len(pl.atoms)], unknown)
			if err != nil {
				return nil, fmt.Errorf("%w: post %q: %w", errPage, o.ID, err)
			}
			if r.vals != nil {
				arena = arena[len(pl.atoms):]
			}
			for j, v := range r.vals {
				if !math.IsNaN(v) {
					bears |= 1 << j
				}
			}
			n.readings = append(n.readings, r)
		case jauge.ObjectAccount:
			f, err := pl.figure(o, pg, unknown)
			if err != nil {
				return nil, fmt.Errorf("%w: account %q: %w", errPage, o.ID, err)
			}
			n.figures = append(n.figures, f)
		default:
			return nil, fmt.Errorf("%w: object %q is unknown", errPage, o.Object)
		}
	}
	for i := range n.readings {
		n.readings[i].bears = bears
	}
	return n, nil
}

func (pl *platform) reading(o *jauge.Observation, version int64, vals []float64, unknown func(string)) (reading, error) {
	r := reading{post: o.ID, version: version, info: o.Post, state: string(o.PostState), final: o.Final}
	if o.ID == "" {
		return r, errors.New("it has no id")
	}
	if r.state == "" {
		r.state = string(jauge.PostLive)
	}
	if o.Post == nil && len(o.Values) > 0 {
		return r, errors.New("counters without the post's publication")
	}
	if o.Post == nil {
		return r, nil
	}
	if o.Post.PublishedAt.IsZero() || o.Post.Format == "" {
		return r, errors.New("publication instant or format is missing")
	}
	for i := range vals {
		vals[i] = math.NaN()
	}
	for _, v := range o.Values {
		i, ok := pl.wires[v.Wire]
		if !ok {
			unknown(v.Wire)
			continue
		}
		if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
			return r, fmt.Errorf("%s is %v", v.Wire, v.Value)
		}
		vals[i] = v.Value
	}
	r.vals = vals
	return r, nil
}

var accountMetricCols = metricColumns(accountSchema)

func (pl *platform) figure(o *jauge.Observation, pg *jauge.Page, unknown func(string)) (figure, error) {
	f := figure{
		version: pg.ObservedAt.UnixNano(), start: pg.RunStart.UnixNano(), period: o.Period, paid: o.Paid,
		final: o.Final, state: o.State, movedTo: o.MovedTo,
	}
	if f.period == "" {
		f.period = jauge.PeriodInstant
	}
	if f.period != jauge.PeriodInstant {
		if o.Start.IsZero() {
			return f, fmt.Errorf("a figure of the period %s has no start", f.period)
		}
		f.start = o.Start.UnixNano()
	}
	byCol := map[int]float64{}
	for _, v := range o.Values {
		metrics, ok := pl.account[v.Wire]
		if !ok {
			unknown(v.Wire)
			continue
		}
		if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
			return f, fmt.Errorf("%s is %v", v.Wire, v.Value)
		}
		for _, m := range metrics {
			if c, ok := accountMetricCols[m]; ok {
				byCol[c] += v.Value
			}
		}
	}
	for c, v := range byCol {
		f.vals = append(f.vals, jauge.FloatValue(c, v))
	}
	sorted(f.vals)
	return f, nil
}

// seconds cuts an instant to the second, Unix nanoseconds.
func seconds(ns int64) int64 {
	s := ns - ns%int64(time.Second)
	if ns < 0 && s != ns {
		s -= int64(time.Second)
	}
	return s
}

// hashNanos spreads texts over the nanoseconds of a second: FNV-1a 64 modulo 10⁹.
func hashNanos(texts ...string) int64 {
	h := uint64(14695981039346656037)
	for _, t := range texts {
		for i := 0; i < len(t); i++ {
			h = (h ^ uint64(t[i])) * 1099511628211
		}
	}
	return int64(h % uint64(time.Second)) //nolint:gosec // below 10⁹
}
