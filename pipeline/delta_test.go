package pipeline //nolint:testpackage // split is no part of the API, and its arithmetic deserves a test of its own

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
)

func TestShares(t *testing.T) {
	h := uint64(time.Hour)
	for _, tc := range []struct {
		diff  float64
		parts []uint64
		want  []float64
	}{
		{10, []uint64{h, h}, []float64{5, 5}},
		{1, []uint64{h, h}, []float64{1, 0}},     // a tie goes to the earlier day
		{-1, []uint64{h, h}, []float64{-1, 0}},   // on the magnitude
		{1, []uint64{h, 2 * h}, []float64{0, 1}}, // the larger remainder
		{-7, []uint64{6 * h, 24 * h, 12 * h}, []float64{-1, -4, -2}},
		{0, []uint64{h, h, h}, []float64{0, 0, 0}},
		{1 << 52, []uint64{24 * h, 24 * h}, []float64{1 << 51, 1 << 51}},
		{2.5, []uint64{h, h}, []float64{1.25, 1.25}},
	} {
		if d := cmp.Diff(tc.want, shares(tc.diff, tc.parts)); d != "" {
			t.Errorf("shares(%v, %v): %s", tc.diff, tc.parts, d)
		}
	}
}

// FuzzSplit holds that nothing is lost or made up, that whole numbers stay whole, and that each day's share is within
// one of its part.
func FuzzSplit(f *testing.F) {
	f.Add(int64(0), int64(36*time.Hour), int32(7))
	f.Add(int64(23*time.Hour), int64(25*time.Hour), int32(-1))
	f.Fuzz(func(t *testing.T, a, length int64, diff int32) {
		length &= math.MaxInt64
		a, length = a%int64(100*365*24*time.Hour), length%int64(400*24*time.Hour)
		var all float64
		days := 0
		split(time.UTC, a, a+length, float64(diff), func(_ jauge.Day, share float64, estimated bool) {
			all += share
			days++
			if share != math.Trunc(share) {
				t.Errorf("share %v of %d is not whole", share, diff)
			}
			if share*float64(diff) < 0 {
				t.Errorf("share %v goes against %d", share, diff)
			}
			if estimated && (diff == 0 || length <= int64(12*time.Hour)) {
				t.Errorf("estimated over %v for %d", time.Duration(length), diff)
			}
		})
		if all != float64(diff) {
			t.Errorf("shares add up to %v, want %d", all, diff)
		}
		if days > int(length/int64(24*time.Hour))+2 {
			t.Errorf("%d days for %v", days, time.Duration(length))
		}
	})
}
