package journal_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline/journal"
)

var observedAt = time.Date(2026, 11, 22, 10, 20, 30, 123456789, time.UTC)

// word makes up letters that do not repeat, the same ones on every run.
func word(rnd *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz234567"[rnd.IntN(32)]
	}
	return string(b)
}

// vocabulary is what sample texts are made of.
var vocabulary = func() []string {
	rnd := rand.New(rand.NewPCG(3, 4))
	out := make([]string, 2000)
	for i := range out {
		out[i] = word(rnd, 2+rnd.IntN(9))
	}
	return out
}()

// samplePage is like a page of a listing: n posts with texts and four counters, and the account's gauges.
func samplePage(account string, seq, n int) jauge.Page {
	p := jauge.Page{
		Platform: jauge.Bluesky, Account: account, Handle: "acme.example", API: "0.4.1",
		Run: "01JD9Z7Q0G0000000000000000", RunStart: observedAt.Add(-time.Minute), Seq: seq,
		ObservedAt: observedAt.Add(time.Duration(seq)), Complete: true,
	}
	if n > 0 {
		p.Observations = append(p.Observations, jauge.Observation{
			Object: jauge.ObjectAccount, ID: account, Period: jauge.PeriodInstant, State: jauge.AccountLive,
			Values: []jauge.WireValue{{Wire: "followersCount", Value: 123456}, {Wire: "followsCount", Value: 0}, {Wire: "postsCount", Value: 789}},
		})
	}
	rnd := rand.New(rand.NewPCG(uint64(n), uint64(seq)))
	for i := range n {
		key := "3k" + word(rnd, 11)
		id := "at://" + account + "/app.bsky.feed.post/" + key
		excerpt := ""
		for len(excerpt) < 80 {
			excerpt += vocabulary[rnd.IntN(len(vocabulary))] + " "
		}
		p.Observations = append(p.Observations, jauge.Observation{
			Object: jauge.ObjectPost, ID: id, Period: jauge.PeriodLifetime, PostState: jauge.PostLive,
			Values: []jauge.WireValue{{Wire: "likeCount", Value: float64(rnd.IntN(5000))}, {Wire: "replyCount", Value: float64(i % 5)}, {Wire: "repostCount", Value: float64(rnd.IntN(300))}, {Wire: "quoteCount", Value: 0}},
			Post: &jauge.Post{
				PublishedAt: observedAt.Add(-time.Duration(rnd.Int64N(int64(30 * 24 * time.Hour)))).Truncate(time.Millisecond), Format: jauge.FormatImage, Language: "fr",
				Permalink: "https://bsky.app/profile/acme.example/post/" + key, Excerpt: excerpt,
			},
		})
	}
	return p
}

func roundTrip(t *testing.T, p jauge.Page) jauge.Page {
	t.Helper()
	b, err := journal.Encode(nil, &p)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	got, err := journal.Decode(b)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return got
}

func TestRoundTripKeepsEveryField(t *testing.T) {
	want := samplePage("did:plc:abc", 3, 4)
	want.Part = 2
	want.Observations[1].Final, want.Observations[1].Paid = true, true
	want.Observations[1].Start = time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC)
	want.Observations[1].Post.Reply = true
	want.Observations[2].Values = nil
	want.Observations[2].Post = nil
	want.Observations[2].PostState = jauge.PostDeleted
	want.Observations[3].Post = &jauge.Post{}
	want.Observations[3].Values = []jauge.WireValue{{Wire: "b", Value: -0.5}, {Wire: "a", Value: 1e300}, {Wire: "b", Value: math.MaxInt64}, {Wire: "", Value: -12}}
	want.Observations[4].State, want.Observations[4].MovedTo = jauge.AccountMoved, "@new@example.org"
	if d := cmp.Diff(want, roundTrip(t, want)); d != "" {
		t.Errorf("page changed (-want +got):\n%s", d)
	}
}

func TestRoundTripKeepsInstants(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0).UTC(), time.Unix(0, 1).UTC(), time.Unix(-1, 999999999).UTC(),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(1677, 9, 21, 0, 12, 43, 0, time.UTC),
		time.Date(2262, 4, 12, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(2026, 3, 29, 2, 30, 0, 0, time.FixedZone("CET", 3600)),
	} {
		p := jauge.Page{Run: "r", ObservedAt: at, Observations: []jauge.Observation{{ID: "1", Start: at, Post: &jauge.Post{PublishedAt: at}}}}
		got := roundTrip(t, p)
		for _, back := range []time.Time{got.ObservedAt, got.Observations[0].Start, got.Observations[0].Post.PublishedAt} {
			if !back.Equal(at) || back.IsZero() != at.IsZero() || back.Location() != time.UTC {
				t.Errorf("%v came back as %v", at, back)
			}
		}
	}
}

func TestZeroIsNotAbsent(t *testing.T) {
	p := jauge.Page{Observations: []jauge.Observation{
		{ID: "1", Values: []jauge.WireValue{{Wire: "likes", Value: 0}, {Wire: "shares", Value: math.Copysign(0, -1)}}}, {ID: "2", Values: []jauge.WireValue{{Wire: "shares", Value: 0}}}, {ID: "3"},
	}}
	got := roundTrip(t, p)
	if d := cmp.Diff(p, got); d != "" {
		t.Errorf("page changed (-want +got):\n%s", d)
	}
	if !math.Signbit(got.Observations[0].Values[1].Value) {
		t.Error("-0 lost its sign")
	}
}

func TestNoNumberIsRefused(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		p := jauge.Page{Observations: []jauge.Observation{{ID: "1", Values: []jauge.WireValue{{Wire: "likes", Value: v}}}}}
		if _, err := journal.Encode(nil, &p); err == nil {
			t.Errorf("encode took %v", v)
		}
	}
	b, err := journal.Encode(nil, &jauge.Page{Observations: []jauge.Observation{{ID: "1", Values: []jauge.WireValue{{Wire: "likes", Value: 0.5}}}}})
	if err != nil {
		t.Fatal(err)
	}
	nan := msgp.AppendFloat64(nil, math.NaN())
	half := msgp.AppendFloat64(nil, 0.5)
	broken := []byte(strings.Replace(string(b), string(half), string(nan), 1))
	if string(broken) == string(b) {
		t.Fatal("the test did not find the number")
	}
	if _, err := journal.Decode(broken); err == nil {
		t.Error("decode took NaN")
	}
}

func TestRoundTripOfRandomPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		p := randomPage(rnd)
		if d := cmp.Diff(p, roundTrip(t, p)); d != "" {
			t.Fatalf("page changed (-want +got):\n%s", d)
		}
	}
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

func randomPage(rnd *rand.Rand) jauge.Page {
	at := func() time.Time {
		return pick(rnd, time.Time{}, time.Unix(rnd.Int64N(1<<34), rnd.Int64N(1e9)).UTC())
	}
	p := jauge.Page{
		Platform: pick(rnd, jauge.Mastodon, "", "plume"), Account: pick(rnd, "", "1@b.example", "did:plc:x"), Handle: pick(rnd, "", "héhé"),
		Run: pick(rnd, "", "r1"), RunStart: at(), Seq: rnd.IntN(1000), Part: rnd.IntN(3), ObservedAt: at(), Complete: rnd.IntN(2) == 0,
	}
	for range rnd.IntN(30) {
		o := jauge.Observation{
			Object: pick(rnd, jauge.ObjectAccount, jauge.ObjectPost), ID: fmt.Sprint(rnd.Uint64()), Period: pick(rnd, jauge.PeriodDay, jauge.PeriodLifetime),
			Start: at(), Final: rnd.IntN(2) == 0, Paid: rnd.IntN(2) == 0, PostState: pick(rnd, "", jauge.PostLive, jauge.PostHidden),
			State: pick(rnd, "", jauge.AccountSuspended), MovedTo: pick(rnd, "", "elsewhere"),
		}
		for range rnd.IntN(6) {
			v := pick(rnd, float64(rnd.IntN(200)), -float64(rnd.IntN(1e6)), rnd.NormFloat64()*1e9, float64(rnd.Uint64()))
			o.Values = append(o.Values, jauge.WireValue{Wire: pick(rnd, "a", "b", "c", "reactions.love", ""), Value: v})
		}
		if rnd.IntN(3) > 0 {
			o.Post = &jauge.Post{
				PublishedAt: at(), Format: pick(rnd, "", jauge.FormatLink), Language: pick(rnd, "", "fr", "pt-BR"),
				Permalink: pick(rnd, "", "https://x.example/1"), Excerpt: pick(rnd, "", strings.Repeat("é", rnd.IntN(140))), Reply: rnd.IntN(2) == 0,
			}
		}
		p.Observations = append(p.Observations, o)
	}
	return p
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	// A page of a later version: unknown keys before and after the known ones, in the page and in an observation.
	b := []byte{1}
	b = msgp.AppendMapHeader(b, 5)
	b = msgp.AppendString(msgp.AppendInt(b, 99), "new")
	b = msgp.AppendString(msgp.AppendInt(b, 2), "did:plc:x")
	b = msgp.AppendArrayHeader(msgp.AppendInt(b, 11), 1)
	b = msgp.AppendString(b, "post")
	b = msgp.AppendArrayHeader(msgp.AppendInt(b, 13), 1)
	b = msgp.AppendMapHeader(b, 3)
	b = msgp.AppendInt(msgp.AppendInt(b, 1), 0)
	b = msgp.AppendMapHeader(msgp.AppendInt(b, 77), 1)
	b = msgp.AppendBool(msgp.AppendString(b, "deep"), true)
	b = msgp.AppendString(msgp.AppendInt(b, 2), "1")
	b = msgp.AppendFloat64(msgp.AppendInt(b, 100), 1.5)
	got, err := journal.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := jauge.Page{Account: "did:plc:x", Observations: []jauge.Observation{{Object: jauge.ObjectPost, ID: "1"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("page differs (-want +got):\n%s", d)
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	p := samplePage("did:plc:abc", 1, 3)
	whole, err := journal.Encode(nil, &p)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := journal.Decode(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for a page", n, len(whole))
		}
	}
	if _, err := journal.Decode(append(whole, 0)); err == nil {
		t.Error("a byte too many was taken")
	}
	whole[0] = 9
	if _, err := journal.Decode(whole); err == nil || !strings.Contains(err.Error(), "layout 9") {
		t.Errorf("an unknown layout gave %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, n := range []int{0, 1, 5} {
		p := samplePage("did:plc:abc", n, n)
		b, err := journal.Encode(nil, &p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{"", "01", "02", "02ffffffff0f00", "0280808002fe0100", "0180", "01810ddd7fffffff", "01810bdd7fffffff", "01820b91a0" + "0c91dd7fffffff", "01810d9180"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := journal.Decode(b)
		if err != nil {
			return
		}
		again, err := journal.Encode(nil, &p)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		q, err := journal.Decode(again)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		if d := cmp.Diff(p, q); d != "" {
			t.Errorf("page changed (-want +got):\n%s", d)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	p := samplePage("did:plc:ewvi7nxzyoun6zhxrhs64oiz", 0, 99)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = journal.Encode(buf[:0], &p); err != nil {
			b.Fatal(err)
		}
	}
	perObservation(b, len(p.Observations), len(buf))
}

func BenchmarkDecode(b *testing.B) {
	p := samplePage("did:plc:ewvi7nxzyoun6zhxrhs64oiz", 0, 99)
	buf, err := journal.Encode(nil, &p)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := journal.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
	perObservation(b, len(p.Observations), len(buf))
}

func perObservation(b *testing.B, n, size int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/observation")
	b.ReportMetric(float64(size)/float64(n), "B/observation")
}
