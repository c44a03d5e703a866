package pipeline

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"jauge.dev/jauge"
)

// estimateOver is the distance of two readings beyond which a difference over midnight is called estimated.
const estimateOver = 12 * time.Hour

// dayOf is jauge.DayOf for Unix nanoseconds.
func dayOf(ns int64, zone *time.Location) jauge.Day {
	if zone == time.UTC {
		d := ns / int64(24*time.Hour)
		if ns < 0 && ns%int64(24*time.Hour) != 0 {
			d--
		}
		return jauge.Day(d) //nolint:gosec // nanoseconds hold 292 years
	}
	return jauge.DayOf(time.Unix(0, ns), zone)
}

func startOf(d jauge.Day, zone *time.Location) int64 {
	if zone == time.UTC {
		return int64(d) * int64(24*time.Hour)
	}
	return d.Start(zone).UnixNano()
}

// split shares a difference over the days that [a, b) overlaps (rule 7): whole numbers by the largest remainder on
// the magnitude, ties to the earlier day. a and b are Unix nanoseconds.
func split(zone *time.Location, a, b int64, diff float64, add func(d jauge.Day, share float64, estimated bool)) {
	last := dayOf(b, zone)
	if b <= a || dayOf(a, zone) == last {
		add(last, diff, false)
		return
	}
	estimated := b-a > int64(estimateOver) && diff != 0
	first := dayOf(a, zone)
	var parts []uint64 // nanoseconds of each day
	for d, from := first, a; from < b; d++ {
		to := min(startOf(d+1, zone), b)
		parts = append(parts, uint64(to-from)) //nolint:gosec // to > from
		from = to
	}
	for i, s := range shares(diff, parts) {
		add(first+jauge.Day(i), s, estimated) //nolint:gosec // few days
	}
}

// shares divides diff in proportion to parts.
func shares(diff float64, parts []uint64) []float64 {
	var all uint64
	for _, p := range parts {
		all += p
	}
	out := make([]float64, len(parts))
	magnitude := math.Abs(diff)
	if diff != math.Trunc(diff) || magnitude >= 1<<53 {
		rest := diff
		for i, p := range parts[:len(parts)-1] {
			out[i] = diff * float64(p) / float64(all)
			rest -= out[i]
		}
		out[len(parts)-1] = rest
		return out
	}
	sign := math.Copysign(1, diff)
	left := uint64(magnitude)
	remainders := make([]uint64, len(parts))
	order := make([]int, len(parts))
	whole := left
	for i, p := range parts {
		hi, lo := bits.Mul64(whole, p)
		q, r := bits.Div64(hi, lo, all)
		out[i], remainders[i], order[i] = float64(q), r, i
		left -= q
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case remainders[i] > remainders[j]:
			return -1
		case remainders[i] < remainders[j]:
			return 1
		}
		return 0
	})
	for _, i := range order[:left] {
		out[i]++
	}
	for i := range out {
		if out[i] != 0 {
			out[i] *= sign
		}
	}
	return out
}
