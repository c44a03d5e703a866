package bluesky

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"jauge.dev/jauge"
)

// invalidHandle is what the AppView shows for an account whose handle does not lead back to it.
const invalidHandle = "handle.invalid"

// count is a number that may be absent. What is no number that can be stored is absent too.
type count struct {
	value float64
	given bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(b []byte) error {
	*c = count{}
	v, err := strconv.ParseFloat(string(b), 64)
	if err == nil && v >= 0 && !math.IsInf(v, 0) {
		*c = count{v, true}
	}
	return nil
}

// appendTo adds the number under its wire name, if it was given.
func (c count) appendTo(values []jauge.WireValue, wire string) []jauge.WireValue {
	if !c.given {
		return values
	}
	return append(values, jauge.WireValue{Wire: wire, Value: c.value})
}

// profile is app.bsky.actor.defs#profileViewDetailed, as far as it is read.
type profile struct {
	DID       string `json:"did"`
	Handle    string `json:"handle"`
	Followers count  `json:"followersCount"`
	Follows   count  `json:"followsCount"`
	Posts     count  `json:"postsCount"`
}

// handleOr returns the account's handle, or what it was called before where it has no valid one now.
func (p *profile) handleOr(before string) string {
	if p.Handle == "" || p.Handle == invalidHandle {
		return before
	}
	return p.Handle
}

type profilesAnswer struct {
	Profiles []profile `json:"profiles"`
}

type postsAnswer struct {
	Posts []postView `json:"posts"`
}

type feedAnswer struct {
	Feed   []feedItem `json:"feed"`
	Cursor string     `json:"cursor"`
}

type threadAnswer struct {
	Thread struct {
		Type string   `json:"$type"`
		Post postView `json:"post"`
	} `json:"thread"`
}

// The $type of what getPostThread and getAuthorFeed answer.
const (
	typeThread   = "app.bsky.feed.defs#threadViewPost"
	typeNotFound = "app.bsky.feed.defs#notFoundPost"
	typeRepost   = "app.bsky.feed.defs#reasonRepost"
)

type feedItem struct {
	Post   postView `json:"post"`
	Reason *struct {
		Type      string `json:"$type"`
		IndexedAt string `json:"indexedAt"`
	} `json:"reason"`
}

// postView is app.bsky.feed.defs#postView, as far as it is read. Its own embed is left out on purpose: it can hold
// another post with counters of its own.
type postView struct {
	URI    string `json:"uri"`
	Author struct {
		DID    string `json:"did"`
		Handle string `json:"handle"`
	} `json:"author"`
	Record    record `json:"record"`
	Likes     count  `json:"likeCount"`
	Replies   count  `json:"replyCount"`
	Reposts   count  `json:"repostCount"`
	Quotes    count  `json:"quoteCount"`
	Bookmarks count  `json:"bookmarkCount"`
	IndexedAt string `json:"indexedAt"`
}

// record is app.bsky.feed.post, written by the account's own software: any part of it may be wrong.
type record struct {
	Text      string    `json:"text"`
	CreatedAt string    `json:"createdAt"`
	Langs     []string  `json:"langs"`
	Reply     *struct{} `json:"reply"`
	Embed     embed     `json:"embed"`
}

// UnmarshalJSON implements json.Unmarshaler; a part of another type than it should be is left out.
func (r *record) UnmarshalJSON(b []byte) error {
	type plain record
	err := json.Unmarshal(b, (*plain)(r))
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil // encoding/json has decoded all other parts
	}
	return err
}

// embed is what a post carries beside its text, as its author wrote it.
type embed struct {
	Type   string     `json:"$type"`
	Images []struct{} `json:"images"`
	Record struct {
		URI    string   `json:"uri"` // of app.bsky.embed.record
		Record struct { // of app.bsky.embed.recordWithMedia
			URI string `json:"uri"`
		} `json:"record"`
	} `json:"record"`
	Media *embed `json:"media"`
}
