package mastofake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const isoMillis = "2006-01-02T15:04:05.000Z"

func (s *Server) webFinger(w http.ResponseWriter, r *http.Request) {
	acct, isAcct := strings.CutPrefix(r.URL.Query().Get("resource"), "acct:")
	user, domain, _ := strings.Cut(acct, "@")
	a := s.user(user)
	if s.cfg.NoWebFinger || !isAcct || a == nil || a.removed || domain != s.cfg.Domain && domain != s.cfg.WebDomain {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if a.suspended || a.gone {
		w.WriteHeader(http.StatusGone)
		return
	}
	root := "https://" + s.cfg.WebDomain
	w.Header().Set("Content-Type", "application/jrd+json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"subject": "acct:" + a.name + "@" + s.cfg.Domain,
		"aliases": []string{root + "/@" + a.name, root + "/users/" + a.name},
		"links": []map[string]string{
			{"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": root + "/@" + a.name},
			{"rel": "self", "type": "application/activity+json", "href": root + "/users/" + a.name},
			{"rel": "http://ostatus.org/schema/1.0/subscribe", "template": root + "/authorize_interaction?uri={uri}"},
		},
	})
}

func (s *Server) instance(w http.ResponseWriter) {
	send(w, fmt.Appendf(nil, `{"domain":%q,"title":"Fake","version":"4.%d.0"}`, s.cfg.Domain, s.cfg.Minor))
}

func (s *Server) number(b []byte, key string, n int64) []byte {
	b = append(append(b, `,"`...), key...)
	if s.cfg.StringCounts {
		return append(strconv.AppendInt(append(b, `":"`...), n, 10), '"')
	}
	return strconv.AppendInt(append(b, `":`...), n, 10)
}

func quoted(b []byte, key, value string) []byte {
	v, err := json.Marshal(value)
	if err != nil { // a string always marshals
		v = []byte(`""`)
	}
	return append(append(append(append(b, `,"`...), key...), `":`...), v...)
}

func (s *Server) appendAccount(b []byte, a *account) []byte {
	root := "https://" + s.cfg.WebDomain
	b = append(append(append(b, `{"id":"`...), a.id...), '"')
	b = quoted(b, "username", a.name)
	b = quoted(b, "acct", a.name)
	b = append(b, `,"display_name":"Brand & Co","locked":false,"bot":false,"discoverable":true,"group":false,`+
		`"created_at":"2022-12-01T00:00:00.000Z","note":"<p>about us</p>"`...)
	b = quoted(b, "url", root+"/@"+a.name)
	b = quoted(b, "uri", root+"/users/"+a.name)
	b = append(b, `,"avatar":"`+root+`/avatars/original/missing.png","avatar_static":"`+root+`/avatars/original/missing.png",`+
		`"header":"`+root+`/headers/original/missing.png","header_static":"`+root+`/headers/original/missing.png"`...)
	if a.suspended {
		b = append(b, `,"followers_count":0,"following_count":0,"statuses_count":0,"last_status_at":null,`+
			`"suspended":true,"emojis":[],"fields":[]}`...)
		return b
	}
	if s.cfg.HideFollowers {
		b = append(b, `,"followers_count":-1`...)
	} else {
		b = s.number(b, "followers_count", a.followers)
	}
	b = s.number(b, "following_count", a.following)
	b = s.number(b, "statuses_count", int64(len(a.posts)))
	if n := len(a.posts); n > 0 {
		b = quoted(b, "last_status_at", a.posts[n-1].at().Format(time.DateOnly))
	} else {
		b = append(b, `,"last_status_at":null`...)
	}
	if a.movedTo != "" {
		b = append(b, `,"moved":{"id":"23634","username":"elsewhere"`...)
		b = quoted(b, "acct", a.movedTo)
		b = append(b, `,"followers_count":7}`...)
	}
	return append(b, `,"emojis":[],"fields":[]}`...)
}

func (s *Server) appendPost(b []byte, a *account, p *post) []byte {
	e := p.extra
	if e == nil {
		e = &Post{}
	}
	id := strconv.FormatUint(p.id, 10)
	root := "https://" + s.cfg.WebDomain
	b = append(append(append(b, `{"id":"`...), id...), '"')
	created := e.CreatedAt
	if created == "" {
		created = p.at().Format(isoMillis)
	}
	b = quoted(b, "created_at", created)
	b = optional(b, "in_reply_to_id", e.ReplyTo)
	b = append(b, `,"in_reply_to_account_id":null,"sensitive":false,"spoiler_text":""`...)
	visibility, text := "public", "<p>A standard text of post "+id+", long enough to look like one that people write.</p>"
	if e.Visibility != "" {
		visibility = e.Visibility
	}
	if e.Text != "" {
		text = e.Text
	}
	b = quoted(b, "visibility", visibility)
	b = optional(b, "language", e.Language)
	b = quoted(b, "uri", root+"/users/"+a.name+"/statuses/"+id)
	b = quoted(b, "url", root+"/@"+a.name+"/"+id)
	b = s.number(b, "replies_count", int64(p.counts.Replies))
	b = s.number(b, "reblogs_count", int64(p.counts.Reblogs))
	b = s.number(b, "favourites_count", int64(p.counts.Favourites))
	switch {
	case s.cfg.Minor < 5:
	case s.cfg.NullQuotes && p.counts.Quotes == 0:
		b = append(b, `,"quotes_count":null`...)
	default:
		b = s.number(b, "quotes_count", int64(p.counts.Quotes))
	}
	b = append(b, `,"edited_at":null`...)
	b = quoted(b, "content", text)
	b = s.appendParts(b, e)
	b = append(b, `,"application":null,"account":`...)
	b = s.appendAccount(b, a)
	return append(b, `,"mentions":[],"tags":[],"emojis":[]}`...)
}

func optional(b []byte, key, value string) []byte {
	if value == "" {
		return append(append(append(b, `,"`...), key...), `":null`...)
	}
	return quoted(b, key, value)
}

// appendParts writes what hangs on a post. The status within a boost or a quote has counters of its own, which are
// somebody else's.
func (s *Server) appendParts(b []byte, e *Post) []byte {
	const other = `{"id":"1","created_at":"2020-01-01T00:00:00.000Z","visibility":"public","content":"<p>theirs</p>",` +
		`"favourites_count":9999,"reblogs_count":9999,"replies_count":9999,"account":{"id":"1","acct":"other@far.example"}}`
	part := func(key string, yes bool, body string) {
		if !yes {
			body = "null"
		}
		b = append(append(append(append(b, `,"`...), key...), `":`...), body...)
	}
	part("reblog", e.Reblog, other)
	part("poll", e.Poll, `{"id":"34830","expired":false,"multiple":false,"votes_count":10,"options":[{"title":"yes","votes_count":6}]}`)
	part("card", e.Card, `{"url":"https://news.example/","title":"News","type":"link"}`)
	part("quote", e.Quote, `{"state":"accepted","quoted_status":`+other+`}`)
	b = append(b, `,"media_attachments":[`...)
	for i, m := range e.Media {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":"%d","type":%q,"url":"https://files.example/%d"}`, 22345+i, m, i)
	}
	return append(b, ']')
}
