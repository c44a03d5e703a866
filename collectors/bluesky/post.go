package bluesky

import (
	"regexp"
	"strings"
	"time"

	"jauge.dev/jauge"
)

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,6}$`)

// observe makes the observation of a post; ok is false where it has no instant that can be stored.
func (p *postView) observe() (jauge.Observation, bool) {
	at, ok := p.publishedAt()
	if !ok {
		return jauge.Observation{}, false
	}
	return jauge.Observation{
		Object: jauge.ObjectPost, ID: p.URI, Period: jauge.PeriodLifetime, PostState: jauge.PostLive,
		Values: p.values(),
		Post: &jauge.Post{
			PublishedAt: at, Format: p.Record.format(), Language: p.Record.language(),
			Permalink: permalink(p.URI), Excerpt: excerpt(p.Record.Text), Reply: p.Record.Reply != nil,
		},
	}, true
}

func (p *postView) values() []jauge.WireValue {
	v := make([]jauge.WireValue, 0, 5)
	v = p.Likes.appendTo(v, wireLikes)
	v = p.Replies.appendTo(v, wireReplies)
	v = p.Reposts.appendTo(v, wireReposts)
	v = p.Quotes.appendTo(v, wireQuotes)
	return p.Bookmarks.appendTo(v, wireBookmarks)
}

// publishedAt is the earlier of createdAt and indexedAt, indexedAt where createdAt cannot be read. The AppView sorts
// an account's posts by the same instant.
func (p *postView) publishedAt() (time.Time, bool) {
	created, okC := instant(p.Record.CreatedAt)
	indexed, okI := instant(p.IndexedAt)
	switch {
	case okC && (!okI || created.Before(indexed)):
		return created, true
	default:
		return indexed, okI
	}
}

// instant reads an RFC 3339 instant. One before 1970 is somebody's mistake and cannot be told from none.
func instant(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Unix() < 0 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// format is the post's form: what it answers or quotes goes before what it shows.
func (r *record) format() jauge.Format {
	if r.Reply != nil {
		return jauge.FormatReply
	}
	return r.Embed.format()
}

func (e *embed) format() jauge.Format {
	switch e.Type {
	case "":
		return jauge.FormatText
	case "app.bsky.embed.record", "app.bsky.embed.recordWithMedia":
		if strings.Contains(e.Record.URI+e.Record.Record.URI, "/app.bsky.feed.post/") {
			return jauge.FormatQuote
		}
		if e.Media != nil && e.Media.Media == nil {
			return e.Media.format()
		}
		return jauge.FormatLink // a list, a feed, a starter pack
	case "app.bsky.embed.video":
		return jauge.FormatVideo
	case "app.bsky.embed.images":
		if len(e.Images) > 1 {
			return jauge.FormatCarousel
		}
		return jauge.FormatImage
	case "app.bsky.embed.external":
		return jauge.FormatLink
	}
	return jauge.FormatOther
}

// language is the first of the languages that the author names.
func (r *record) language() string {
	if len(r.Langs) == 0 || !languageTag.MatchString(r.Langs[0]) {
		return ""
	}
	return r.Langs[0]
}

// permalink is the public address of a post, by the account's DID: it holds when the handle changes.
func permalink(uri string) string {
	rest, ok := strings.CutPrefix(uri, "at://")
	if !ok {
		return ""
	}
	did, rest, _ := strings.Cut(rest, "/")
	_, rkey, ok := strings.Cut(rest, "/")
	if !ok {
		return ""
	}
	return "https://bsky.app/profile/" + did + "/post/" + rkey
}

// excerpt is the beginning of a text, cut between characters.
func excerpt(s string) string {
	n := 0
	for i := range s {
		if n == jauge.ExcerptRunes {
			return strings.Clone(s[:i]) // so that the page does not keep the whole text
		}
		n++
	}
	return s
}
