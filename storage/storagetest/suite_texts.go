package storagetest

import (
	"strings"
	"testing"
	"unicode"

	"jauge.dev/jauge"
)

func testTexts(t *testing.T, s Store) {
	var rows []jauge.Record
	for i, text := range append(strange, "", strings.Repeat("long ", 5000)) {
		rows = append(rows, Row(jauge.SocialPost, at(i), postTags,
			"post_id", "p"+text, "excerpt", text, "carry", text, "likes", i))
	}
	write(t, s, rows...)
	same(t, "texts", read(t, s, all(jauge.SocialPost)), rows...)
	for i, text := range strange {
		q := jauge.Query{Measurement: jauge.SocialPost, Match: map[string][]string{"post_id": {"p" + text}}}
		same(t, "matched by "+text, read(t, s, q), rows[i])
	}
}

func testTags(t *testing.T, s Store) {
	var rows []jauge.Record
	for i, text := range strange {
		// What no line protocol can tell: control characters and a backslash at the end.
		if strings.ContainsFunc(text, unicode.IsControl) || strings.HasSuffix(text, `\`) {
			continue
		}
		rows = append(rows, Row(jauge.SocialPostDaily, at(i), with(with(dailyTags, 0, text), 2, text), "likes", i))
	}
	write(t, s, rows...)
	same(t, "tags", read(t, s, all(jauge.SocialPostDaily)), rows...)
	for i, r := range rows {
		q := jauge.Query{Measurement: jauge.SocialPostDaily, Match: map[string][]string{"account": {r.Tags[2]}}}
		same(t, "matched by "+r.Tags[2], read(t, s, q), r)
		if i%2 == 0 {
			if err := s.Delete(t.Context(), rows[i:i+1]); err != nil {
				t.Errorf("delete %q: %v", r.Tags[2], err)
			}
			same(t, "deleted "+r.Tags[2], read(t, s, q))
		}
	}
}

func testAbsent(t *testing.T, s Store) {
	none := Row(jauge.SocialPost, at(1), postTags, "post_id", "1", "state", "live")
	zero := Row(jauge.SocialPost, at(2), postTags, "post_id", "2", "likes", 0, "excerpt", "", "final", false)
	write(t, s, none, zero)
	got := read(t, s, all(jauge.SocialPost))
	inOrder(t, "absent and zero", got, none, zero)
	if len(got) != 2 {
		return
	}
	if _, ok := got[0].Float("likes"); ok {
		t.Error("likes that were never written have a value")
	}
	if v, ok := got[1].Float("likes"); !ok || v != 0 {
		t.Errorf("likes 0 came back as %v, %v", v, ok)
	}
}

func testUnknown(t *testing.T, s Store) {
	for name, q := range map[string]jauge.Query{
		"measurement":    {Measurement: "nonsense"},
		"match":          {Measurement: jauge.SocialKPI, Match: map[string][]string{"nonsense": {"x"}}},
		"match a number": {Measurement: jauge.SocialKPI, Match: map[string][]string{"value": {"1"}}},
		"column":         {Measurement: jauge.SocialKPI, Columns: []string{"nonsense"}},
	} {
		if rows, err := Collect(t.Context(), s, q); err == nil {
			t.Errorf("%s: no error, %d rows", name, len(rows))
		}
	}
}
