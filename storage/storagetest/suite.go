package storagetest

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
)

// Store is what the suite asks of a store.
type Store interface {
	Reader
	Write(ctx context.Context, rows []jauge.Record) error
	Delete(ctx context.Context, rows []jauge.Record) error
	DataThrough(ctx context.Context) ([]jauge.DataThrough, error)
}

// Run holds a store against the contract. open gives a store without rows, for each test a new one, and closes it
// when the test ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, s Store)
	}{
		{"WriteTwiceLeavesOneRow", testTwice},
		{"FieldsMerge", testMerge},
		{"ReplaceClears", testReplace},
		{"SameKeyTwiceInOneCall", testSameKey},
		{"EveryTypeComesBack", testTypes},
		{"StrangeTextsComeBack", testTexts},
		{"StrangeTagsComeBack", testTags},
		{"AbsentStaysAbsent", testAbsent},
		{"RangesAreHalfOpen", testRange},
		{"OrderAndLimit", testOrder},
		{"NewestValue", testNewest},
		{"Match", testMatch},
		{"MatchManyValues", testMatchMany},
		{"Columns", testColumns},
		{"UnknownNamesAreErrors", testUnknown},
		{"DeleteTakesTheRowAlone", testDelete},
		{"PostMoves", testMove},
		{"InvalidRowsAreIsolated", testInvalid},
		{"BigBatch", testBig},
		{"ConcurrentUse", testConcurrent},
		{"ReadWithinRead", testNested},
		{"CancelledContext", testCancel},
		{"DataThrough", testThrough},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// start is an instant of the recent past, so that the history's retention does not bite.
var start = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -20).Add(123456789)

func at(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

var (
	kpiTags     = []string{"acme", "bluesky", "did:plc:a", "likes", "day"}
	postTags    = []string{"acme", "bluesky", "did:plc:a", "text"}
	dailyTags   = postTags
	accountTags = []string{"acme", "bluesky", "did:plc:a", "instant", "false"}
	historyTags = []string{"acme", "bluesky", "did:plc:a"}
)

// with gives the tags with one of them changed.
func with(tags []string, i int, v string) []string {
	tags = slices.Clone(tags)
	tags[i] = v
	return tags
}

func kpi(n int, fields ...any) jauge.Record { return Row(jauge.SocialKPI, at(n), kpiTags, fields...) }

func write(t *testing.T, s Store, rows ...jauge.Record) {
	t.Helper()
	if err := s.Write(t.Context(), rows); err != nil {
		t.Fatalf("write %d rows: %v", len(rows), err)
	}
}

func read(t *testing.T, s Store, q jauge.Query) []jauge.Record {
	t.Helper()
	rows, err := Collect(t.Context(), s, q)
	if err != nil {
		t.Fatalf("read %+v: %v", q, err)
	}
	for i := range rows {
		if err := rows[i].Validate(); err != nil {
			t.Errorf("read gave a row that is none: %v", err)
		}
	}
	return rows
}

func all(m jauge.Measurement) jauge.Query { return jauge.Query{Measurement: m} }

// same compares rows in any order.
func same(t *testing.T, what string, got []jauge.Record, want ...jauge.Record) {
	t.Helper()
	if d := cmp.Diff(Plains(want), Plains(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// inOrder compares rows in the order given.
func inOrder(t *testing.T, what string, got []jauge.Record, want ...jauge.Record) {
	t.Helper()
	times := func(rows []jauge.Record) []int64 {
		out := make([]int64, len(rows))
		for i := range rows {
			out[i] = rows[i].Time
		}
		return out
	}
	if d := cmp.Diff(times(want), times(got)); d != "" {
		t.Errorf("%s: times (-want +got):\n%s", what, d)
	}
	same(t, what, got, want...)
}

func testTwice(t *testing.T, s Store) {
	for _, r := range []jauge.Record{
		kpi(1, "value", 1.5, "day", "2026-01-01"),
		Row(jauge.SocialPost, at(1), postTags, "post_id", "at://1", "likes", 1, "observed_at", at(2)),
		Row(jauge.SocialPostHistory, at(1), historyTags, "post_id", "at://1", "likes", 1),
		Row(jauge.SocialPostDaily, at(1), dailyTags, "likes", 1, "final", false),
		Row(jauge.SocialAccount, at(1), accountTags, "followers", 1, "final", true),
		Row(jauge.SocialAccountHistory, at(1), accountTags, "followers", 1, "day", "2026-01-01"),
		Row(jauge.Restatement, at(1), kpiTags[:4], "object", "x", "old", 1, "new", 2, "age_days", 3),
	} {
		write(t, s, r)
		write(t, s, r)
		same(t, string(r.Schema.Measurement), read(t, s, all(r.Schema.Measurement)), r)
	}
}

func testMerge(t *testing.T, s Store) {
	write(t, s, kpi(1, "value", 1, "numerator", 2, "basis", "followers"), kpi(2, "value", 9))
	write(t, s, kpi(1, "value", 3, "estimated", true))
	same(t, "merged", read(t, s, all(jauge.SocialKPI)),
		kpi(1, "value", 3, "numerator", 2, "basis", "followers", "estimated", true), kpi(2, "value", 9))
}

func testReplace(t *testing.T, s Store) {
	for _, m := range []struct {
		m    jauge.Measurement
		tags []string
	}{{jauge.SocialPostDaily, dailyTags}, {jauge.SocialPostHistory, historyTags}} {
		old := Row(m.m, at(1), m.tags, "likes", 1, "comments", 2, "shares", 3)
		near := Row(m.m, at(1).Add(1), m.tags, "likes", 5)
		write(t, s, old, near)
		fresh := Row(m.m, at(1), m.tags, "likes", 7, "saves", 0)
		fresh.Replace = true
		write(t, s, fresh)
		same(t, "replaced", read(t, s, all(m.m)), fresh, near)
		write(t, s, fresh)
		same(t, "replaced again", read(t, s, all(m.m)), fresh, near)
		more := Row(m.m, at(1), m.tags, "comments", 4)
		write(t, s, more)
		same(t, "then merged", read(t, s, all(m.m)), Row(m.m, at(1), m.tags, "likes", 7, "saves", 0, "comments", 4), near)
	}
}

func testSameKey(t *testing.T, s Store) {
	a, b, c := kpi(1, "value", 1, "numerator", 5), kpi(1, "value", 2, "basis", "x"), kpi(1, "value", 3)
	write(t, s, a, kpi(2, "value", 1), b, c)
	same(t, "the later wins", read(t, s, all(jauge.SocialKPI)),
		kpi(1, "value", 3, "numerator", 5, "basis", "x"), kpi(2, "value", 1))
	b.Replace = true
	write(t, s, a, b, c)
	same(t, "a Replace between", read(t, s, all(jauge.SocialKPI)), kpi(1, "value", 3, "basis", "x"), kpi(2, "value", 1))
}

func testTypes(t *testing.T, s Store) {
	for i, f := range []float64{
		0, 1, -1, 0.1, 1.0 / 3, -2.5e-7, 1e21, 123456789.125, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		1 << 53, 1<<53 + 2, math.MaxInt64, math.Pi, 100000, 1e6, 1e15,
	} {
		r := kpi(i, "value", f)
		write(t, s, r)
		same(t, "float", read(t, s, jauge.Query{Measurement: jauge.SocialKPI, From: at(i), To: at(i + 1)}), r)
	}
	var posts []jauge.Record
	for i, n := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 1<<53 + 1, -(1<<53 + 1), at(0).UnixNano()} {
		posts = append(posts, Row(jauge.SocialPost, at(i), postTags, "post_id", string(rune('a'+i)), "observed_at", n))
	}
	write(t, s, posts...)
	same(t, "instants", read(t, s, all(jauge.SocialPost)), posts...)
	flags := []jauge.Record{
		Row(jauge.SocialAccount, at(1), accountTags, "final", true, "competitor", false),
		Row(jauge.SocialAccount, at(2), accountTags, "final", false, "complete_reading", true),
	}
	write(t, s, flags...)
	same(t, "flags", read(t, s, all(jauge.SocialAccount)), flags...)
}

// strange are texts that an escaping can go wrong with.
var strange = []string{
	"plain", "two words", `"`, `'`, `\`, `\\`, `a\`, `\"`, `\'`, `a,b=c d`, `a\,b\=c\ d`, "line\nbreak", "tab\there", "cr\r\n",
	"日本語 – ελληνικά – עברית", "😀👩‍👩‍👧", "e\u0301", "#comment", "{json:\"x\"}", "%s %d", "'; DROP TABLE social_post; --",
	"\u2028\u2029", `\n`, "true", "1i", "null", "$1 ?1 :a", "/* x */", "0", " lead and trail ",
}
