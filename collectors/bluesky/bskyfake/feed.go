package bskyfake

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// item is one place in an account's feed.
type item struct {
	at       time.Time
	uri      string
	post     *post // of made posts; generated ones have their number
	number   int
	reposted bool
}

func (i item) compare(at time.Time, uri string) int {
	if c := i.at.Compare(at); c != 0 {
		return c
	}
	return strings.Compare(i.uri, uri)
}

var errCursor = errors.New("cursor is not one of ours")

// page gives up to limit places after the cursor, and where the next page begins: like the real one, it names a
// cursor whenever it holds anything.
func (a *account) page(limit int, cursor string) ([]item, string, error) {
	at, uri, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	var out []item
	if len(a.made) == 0 && len(a.reposts) == 0 {
		out = a.generatedPage(limit, cursor != "", at)
	} else {
		for _, i := range a.sorted() {
			if cursor == "" || i.compare(at, uri) < 0 {
				if out = append(out, i); len(out) == limit {
					break
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, "", nil
	}
	last := out[len(out)-1]
	return out, base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(last.at.UnixNano(), 10) + "__" + last.uri)), nil
}

// generatedPage finds places by arithmetic: nothing is sorted or kept.
func (a *account) generatedPage(limit int, after bool, at time.Time) []item {
	n := a.generated - 1
	if after {
		n = a.generated - 1 - int(a.newest.Sub(at)/a.step) - 1
	}
	out := make([]item, 0, min(limit, max(n+1, 0)))
	for ; n >= 0 && len(out) < limit; n-- {
		out = append(out, item{at: a.at(n), uri: PostURI(a.did, n), number: n})
	}
	return out
}

func parseCursor(s string) (time.Time, string, error) {
	if s == "" {
		return time.Time{}, "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return time.Time{}, "", errCursor
	}
	nano, uri, ok := strings.Cut(string(b), "__")
	n, err := strconv.ParseInt(nano, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", errCursor
	}
	return time.Unix(0, n).UTC(), uri, nil
}

// at is the instant of a generated post.
func (a *account) at(n int) time.Time { return a.newest.Add(-time.Duration(a.generated-1-n) * a.step) }

// sortAt is the earlier of the post's instants; one that its author wrote wrongly counts as the oldest of all.
func (p *post) sortAt() time.Time {
	if p.CreatedAt == "" {
		return p.At
	}
	t, err := time.Parse(time.RFC3339, p.CreatedAt)
	switch {
	case err != nil:
		return time.Unix(0, 0).UTC()
	case t.Before(p.At):
		return t.UTC().Truncate(time.Millisecond)
	}
	return p.At
}

// find gives the post of an at-URI, nil where there never was one. A generated post is made for the occasion.
func (f *Fake) find(uri string) (*account, *post) {
	did, key, ok := strings.Cut(strings.TrimPrefix(uri, "at://"), "/app.bsky.feed.post/")
	a := f.byDID[did]
	if !ok || a == nil {
		return nil, nil
	}
	if n, ok := generatedNumber(key); ok && n < a.generated {
		return a, f.generatedPost(a, n)
	}
	for _, p := range a.made {
		if p.Key == key {
			return a, p
		}
	}
	return a, nil
}

func generatedNumber(key string) (int, bool) {
	digits, ok := strings.CutPrefix(key, "3gen")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0
}

func (f *Fake) generatedPost(a *account, n int) *post {
	if p := a.changed[n]; p != nil {
		return p
	}
	h := int64(mix(a.did, n) >> 1) //nolint:gosec // the highest bit is gone
	grown := func(base, speed int64) int64 { return h/base%speed + f.rounds*(h/speed%3) }
	uri := PostURI(a.did, n)
	return &post{uri: uri, Post: Post{
		Key: uri[strings.LastIndexByte(uri, '/')+1:], At: a.at(n), Text: "Generated post number " + strconv.Itoa(n),
		Langs: []string{"en"}, Reply: h%5 == 0,
		Counts: Counts{grown(3, 50), grown(5, 11), grown(7, 13), grown(11, 5), grown(13, 7)},
	}}
}

// mix is a number that follows from an account and a post alone.
func mix(did string, n int) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(did) {
		h = (h ^ uint64(did[i])) * 1099511628211
	}
	h = (h ^ uint64(n+7)) * 0x9E3779B97F4A7C15 //nolint:gosec // a hash
	return h ^ h>>29
}
