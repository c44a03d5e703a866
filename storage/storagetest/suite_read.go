package storagetest

import (
	"fmt"
	"testing"
	"time"

	"jauge.dev/jauge"
)

func testRange(t *testing.T, s Store) {
	a, b, c := kpi(1, "value", 1), kpi(2, "value", 2), kpi(3, "value", 3)
	write(t, s, b, c, a)
	ns := time.Nanosecond
	for _, k := range []struct {
		from, to time.Time
		want     []jauge.Record
	}{
		{time.Time{}, time.Time{}, []jauge.Record{a, b, c}},
		{at(1), at(3), []jauge.Record{a, b}},
		{at(1).Add(ns), at(3).Add(ns), []jauge.Record{b, c}},
		{at(2), at(2), nil},
		{at(3), at(1), nil},
		{at(2), at(2).Add(ns), []jauge.Record{b}},
		{at(2), time.Time{}, []jauge.Record{b, c}},
		{time.Time{}, at(2), []jauge.Record{a}},
		{time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC), []jauge.Record{a, b, c}},
	} {
		got := read(t, s, jauge.Query{Measurement: jauge.SocialKPI, From: k.from, To: k.to})
		inOrder(t, fmt.Sprintf("from %v to %v", k.from, k.to), got, k.want...)
	}
}

func testOrder(t *testing.T, s Store) {
	var rows []jauge.Record
	for i := range 30 {
		rows = append(rows, Row(jauge.SocialKPI, at(i), with(kpiTags, 2, fmt.Sprintf("did:%d", i%4)), "value", i))
	}
	for i := range rows {
		j := (i * 7) % len(rows)
		write(t, s, rows[j])
	}
	inOrder(t, "oldest first", read(t, s, all(jauge.SocialKPI)), rows...)
	back := make([]jauge.Record, len(rows))
	for i := range rows {
		back[len(rows)-1-i] = rows[i]
	}
	q := jauge.Query{Measurement: jauge.SocialKPI, Desc: true}
	inOrder(t, "newest first", read(t, s, q), back...)
	q.Limit = 5
	inOrder(t, "the five newest", read(t, s, q), back[:5]...)
	q.Desc, q.From = false, at(10)
	inOrder(t, "five from the tenth", read(t, s, q), rows[10:15]...)
	q.Limit = 1000
	inOrder(t, "a limit beyond", read(t, s, q), rows[10:]...)
	n := 0
	for _, err := range s.Read(t.Context(), all(jauge.SocialKPI)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("a caller that stops after 3 rows got %d", n)
	}
}

func testNewest(t *testing.T, s Store) {
	write(t, s, Row(jauge.SocialAccount, at(1), accountTags, "followers", 10, "posts", 3),
		Row(jauge.SocialAccount, at(2), accountTags, "followers", 11),
		Row(jauge.SocialAccount, at(3), accountTags, "account_state", "suspended"))
	for _, k := range []struct {
		metric string
		at     time.Time
		want   float64
	}{{"followers", at(2), 11}, {"posts", at(1), 3}} {
		got := read(t, s, jauge.Query{
			Measurement: jauge.SocialAccount, Columns: []string{k.metric}, Desc: true, Limit: 1,
			Match: map[string][]string{"platform": {"bluesky"}, "account": {"did:plc:a"}, "period": {"instant"}},
		})
		same(t, "newest "+k.metric, got, Row(jauge.SocialAccount, k.at, accountTags, k.metric, k.want))
	}
}

func testMatch(t *testing.T, s Store) {
	var rows []jauge.Record
	for i, platform := range []string{"bluesky", "mastodon", "threads"} {
		for j, brand := range []string{"acme", "rival"} {
			tags := with(with(with(postTags, 0, brand), 1, platform), 2, fmt.Sprint("id", i))
			rows = append(rows, Row(jauge.SocialPost, at(10*i+j), tags,
				"post_id", fmt.Sprintf("%s/%s", platform, brand), "state", []string{"live", "deleted"}[j], "likes", i))
		}
	}
	write(t, s, rows...)
	for name, k := range map[string]struct {
		match map[string][]string
		want  []jauge.Record
	}{
		"one tag":           {map[string][]string{"platform": {"mastodon"}}, rows[2:4]},
		"either of two":     {map[string][]string{"platform": {"threads", "mastodon"}}, rows[2:6]},
		"two tags":          {map[string][]string{"platform": {"mastodon", "bluesky"}, "brand": {"rival"}}, []jauge.Record{rows[1], rows[3]}},
		"a field":           {map[string][]string{"state": {"deleted"}}, []jauge.Record{rows[1], rows[3], rows[5]}},
		"fields and a tag":  {map[string][]string{"post_id": {"bluesky/acme", "threads/rival"}, "brand": {"acme"}}, rows[:1]},
		"several posts":     {map[string][]string{"post_id": {"bluesky/acme", "threads/rival"}}, []jauge.Record{rows[0], rows[5]}},
		"nobody's value":    {map[string][]string{"brand": {"nobody"}}, nil},
		"none of no values": {map[string][]string{"brand": {}}, nil},
		"no such text":      {map[string][]string{"language": {"fr"}}, nil},
	} {
		inOrder(t, name, read(t, s, jauge.Query{Measurement: jauge.SocialPost, Match: k.match}), k.want...)
	}
	got := read(t, s, jauge.Query{
		Measurement: jauge.SocialPost, Columns: []string{"likes"}, Match: map[string][]string{"state": {"live"}},
		Limit: 2, Desc: true,
	})
	for i := range rows {
		rows[i].Values = rows[i].Values[len(rows[i].Values)-1:]
	}
	inOrder(t, "by a field that is not asked for", got, rows[4], rows[2])
}

func testMatchMany(t *testing.T, s Store) {
	var rows, want []jauge.Record
	var ids, accounts []string
	for i := range 1500 {
		tags := with(postTags, 2, fmt.Sprintf("did:%d", i))
		r := Row(jauge.SocialPost, at(i), tags, "post_id", fmt.Sprint("p'", i), "likes", i)
		rows = append(rows, r)
		if i%2 == 0 {
			ids, accounts, want = append(ids, fmt.Sprint("p'", i)), append(accounts, tags[2]), append(want, r)
		}
	}
	write(t, s, rows...)
	for name, match := range map[string]map[string][]string{"post_id": {"post_id": ids}, "account": {"account": accounts}} {
		q := jauge.Query{Measurement: jauge.SocialPost, Match: match}
		inOrder(t, name, read(t, s, q), want...)
		q.Limit = 700
		inOrder(t, name+" with a limit", read(t, s, q), want[:700]...)
	}
}

func testColumns(t *testing.T, s Store) {
	a := Row(jauge.SocialPostDaily, at(1), dailyTags, "likes", 1, "comments", 2, "day", "2026-01-01")
	b := Row(jauge.SocialPostDaily, at(2), dailyTags, "comments", 3)
	c := Row(jauge.SocialPostDaily, at(3), dailyTags, "shares", 4, "day", "2026-01-03")
	write(t, s, a, b, c)
	got := read(t, s, jauge.Query{Measurement: jauge.SocialPostDaily, Columns: []string{"likes", "day", "likes"}})
	inOrder(t, "two columns", got, Row(jauge.SocialPostDaily, at(1), dailyTags, "likes", 1, "day", "2026-01-01"),
		Row(jauge.SocialPostDaily, at(3), dailyTags, "day", "2026-01-03"))
	got = read(t, s, jauge.Query{Measurement: jauge.SocialPostDaily, Columns: []string{"comments"}, Limit: 1, Desc: true})
	inOrder(t, "the limit counts rows that have one", got, b)
	if got = read(t, s, jauge.Query{Measurement: jauge.SocialPostDaily, Columns: []string{"saves"}}); len(got) != 0 {
		t.Errorf("%d rows for a column that no row has", len(got))
	}
}
