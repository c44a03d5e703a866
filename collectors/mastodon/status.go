package mastodon

import (
	"regexp"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// public tells whether anybody may see the status. Servers without the field show public ones only.
func (s *status) public() bool {
	switch s.Visibility {
	case "public", "unlisted", "":
		return true
	}
	return false
}

// published is the instant of publication in UTC, false where it cannot be read. One before 1970, or too late to be
// counted in nanoseconds, is somebody's mistake and no better than none.
func (s *status) published() (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s.CreatedAt)
	if err != nil || t.Unix() < 0 || t.Year() > 2261 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,6}$`)

// language is what the author said, empty where that is no language tag.
func (s *status) language() string {
	if !languageTag.MatchString(s.Language) {
		return ""
	}
	return s.Language
}

// observation is the reading of a post that is live, published at the given instant.
func (s *status) observation(at time.Time) jauge.Observation {
	return jauge.Observation{
		Object: jauge.ObjectPost, ID: string(s.ID), Period: jauge.PeriodLifetime, PostState: jauge.PostLive,
		Values: values(
			wired{wireFavourites, s.Favourites}, wired{wireReplies, s.Replies},
			wired{wireReblogs, s.Reblogs}, wired{wireQuotes, s.Quotes},
		),
		Post: &jauge.Post{
			PublishedAt: at, Format: s.format(), Language: s.language(), Permalink: s.permalink(),
			Excerpt: s.excerpt(), Reply: s.InReplyTo != "",
		},
	}
}

type wired struct {
	wire string
	count
}

// values leaves out what was not given; it is never nil, since a reading without any number is a reading.
func values(all ...wired) []jauge.WireValue {
	out := make([]jauge.WireValue, 0, len(all))
	for _, w := range all {
		if w.ok {
			out = append(out, jauge.WireValue{Wire: w.wire, Value: w.n})
		}
	}
	return out
}

// format decides by what makes the post: a reply is no published post, whatever it shows; then what it asks or cites
// comes before what is attached, and that before a card, which servers make of any link.
func (s *status) format() jauge.Format {
	switch {
	case s.InReplyTo != "":
		return jauge.FormatReply
	case bool(s.Quote):
		return jauge.FormatQuote
	case bool(s.Poll):
		return jauge.FormatPoll
	case len(s.Media) > 1:
		return jauge.FormatCarousel
	case len(s.Media) == 1:
		switch s.Media[0].Type {
		case "image":
			return jauge.FormatImage
		case "video", "gifv":
			return jauge.FormatVideo
		}
		return jauge.FormatOther
	case bool(s.Card):
		return jauge.FormatLink
	}
	return jauge.FormatText
}

// permalink is the page for people, else the federation's address; nothing but a web address is one.
func (s *status) permalink() string {
	for _, u := range []string{s.URL, s.URI} {
		if strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
			return u
		}
	}
	return ""
}

// excerpt is of the text; of a post that has none, of the line that stands above it.
func (s *status) excerpt() string {
	if e := excerpt(s.Content); e != "" {
		return e
	}
	return excerpt(s.Spoiler)
}

// gone is the reading of a post that is proven deleted.
func gone(id string) jauge.Observation {
	return jauge.Observation{
		Object: jauge.ObjectPost, ID: id, Period: jauge.PeriodLifetime, PostState: jauge.PostDeleted,
	}
}
