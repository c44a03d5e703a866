package pipelinetest

import (
	"math/rand/v2"
	"time"
)

// dice is where a history's choices come from: a seed, or the bytes of a fuzzer.
type dice struct{ below func(n int) int }

func seeded(seed uint64) dice {
	r := rand.New(rand.NewPCG(seed, 20260101)) //nolint:gosec // test data, repeatable by its seed
	return dice{r.IntN}
}

// fed takes choices from bytes, two for each; when they are used up every choice is the first one.
func fed(b []byte) dice {
	return dice{func(n int) int {
		if len(b) < 2 {
			return 0
		}
		v := int(b[0]) | int(b[1])<<8
		b = b[2:]
		return v % n
	}}
}

// chance is true in so many of a hundred cases.
func (d dice) chance(percent int) bool { return d.below(100) >= 100-percent }

// from picks a number from low to high, both included.
func (d dice) from(low, high int) int { return low + d.below(high-low+1) }

// time picks a stretch of time between low and high.
func (d dice) time(low, high time.Duration) time.Duration {
	const steps = 9973
	return low + (high-low)/steps*time.Duration(d.below(steps)) + time.Duration(d.below(997))
}

func pick[T any](d dice, of ...T) T { return of[d.below(len(of))] }
