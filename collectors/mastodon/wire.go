package mastodon

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// The shapes below hold what is read of an answer. Servers differ: a field may be absent, null, or of another type.
// Such a field is as good as absent and spoils nothing else; only what is no JSON, or no answer of that kind at all,
// is an error.

type account struct {
	ID        ident  `json:"id"`
	Username  string `json:"username"`
	Acct      string `json:"acct"`
	Followers count  `json:"followers_count"`
	Following count  `json:"following_count"`
	Statuses  count  `json:"statuses_count"`
	Suspended bool   `json:"suspended"`
	Moved     *struct {
		Acct string `json:"acct"`
	} `json:"moved"`
}

type status struct {
	ID         ident  `json:"id"`
	CreatedAt  string `json:"created_at"`
	InReplyTo  ident  `json:"in_reply_to_id"`
	Visibility string `json:"visibility"`
	Language   string `json:"language"`
	URI        string `json:"uri"`
	URL        string `json:"url"`
	Content    string `json:"content"`
	Spoiler    string `json:"spoiler_text"`
	Favourites count  `json:"favourites_count"`
	Replies    count  `json:"replies_count"`
	Reblogs    count  `json:"reblogs_count"`
	Quotes     count  `json:"quotes_count"`
	Reblog     given  `json:"reblog"`
	Quote      given  `json:"quote"`
	Poll       given  `json:"poll"`
	Card       given  `json:"card"`
	Account    struct {
		ID ident `json:"id"`
	} `json:"account"`
	Media []struct {
		Type string `json:"type"`
	} `json:"media_attachments"`
}

type webFinger struct {
	Subject string `json:"subject"`
	Links   []struct {
		Rel  string `json:"rel"`
		Type string `json:"type"`
		Href string `json:"href"`
	} `json:"links"`
}

// answer is a JSON document of which a field of another type than expected is left out.
type answer[T any] struct{ v T }

var errShape = errors.New("answer is of another kind than the one asked for")

// DecodeJSON implements rest.Document. encoding/json goes on after a field of another type, and reports the first one at
// the end.
func (a *answer[T]) DecodeJSON(b []byte) error {
	err := json.Unmarshal(b, &a.v)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if !sameKind(b, any(&a.v)) {
			return errShape
		}
		return nil
	}
	return err
}

// sameKind tells whether a document is a list where a list of posts was asked for, else an object.
func sameKind(b []byte, v any) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	if _, list := v.(*[]status); list {
		return b[0] == '['
	}
	return b[0] == '{'
}

// ident is an opaque id. Some servers write it as a number; its digits are kept as they stand, since they can
// exceed what a number holds exactly.
type ident string

// UnmarshalJSON implements json.Unmarshaler.
func (i *ident) UnmarshalJSON(b []byte) error {
	*i = ""
	switch c := b[0]; {
	case c == '"':
		if plain := b[1 : len(b)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
			*i = ident(plain)
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*i = ident(s)
	case c >= '0' && c <= '9':
		*i = ident(b)
	}
	return nil
}

// count is a counter as given: a number or a number in quotes. Null, text and a negative number, by which some
// servers hide a figure, are no figure.
type count struct {
	n  float64
	ok bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(b []byte) error {
	*c = count{}
	f, err := strconv.ParseFloat(string(bytes.Trim(b, `" `)), 64)
	if err == nil && f >= 0 && !math.IsInf(f, 0) && f == math.Trunc(f) {
		*c = count{f, true}
	}
	return nil
}

// given tells that a field holds an object.
type given bool

// UnmarshalJSON implements json.Unmarshaler.
func (g *given) UnmarshalJSON(b []byte) error {
	*g = b[0] == '{'
	return nil
}
