package bskyfake

import "slices"

const layout = "2006-01-02T15:04:05.000Z"

type profileView struct {
	DID       string   `json:"did"`
	Handle    string   `json:"handle"`
	Labels    []string `json:"labels"`
	Followers int64    `json:"followersCount"`
	Follows   int64    `json:"followsCount"`
	Posts     int      `json:"postsCount"`
}

type feedView struct {
	Feed   []itemView `json:"feed"`
	Cursor string     `json:"cursor,omitempty"`
}

type itemView struct {
	Post   postView       `json:"post"`
	Reason map[string]any `json:"reason,omitempty"`
}

type authorView struct {
	DID    string   `json:"did"`
	Handle string   `json:"handle"`
	Labels []string `json:"labels"`
}

type recordView struct {
	Type      string         `json:"$type"`
	Text      string         `json:"text"`
	Langs     []string       `json:"langs,omitempty"`
	Reply     map[string]any `json:"reply,omitempty"`
	Embed     map[string]any `json:"embed,omitempty"`
	CreatedAt string         `json:"createdAt"`
}

type postView struct {
	URI       string         `json:"uri"`
	CID       string         `json:"cid"`
	Author    authorView     `json:"author"`
	Record    recordView     `json:"record"`
	Embed     map[string]any `json:"embed,omitempty"`
	Bookmarks *int64         `json:"bookmarkCount,omitempty"`
	Replies   *int64         `json:"replyCount,omitempty"`
	Reposts   *int64         `json:"repostCount,omitempty"`
	Likes     *int64         `json:"likeCount,omitempty"`
	Quotes    *int64         `json:"quoteCount,omitempty"`
	IndexedAt string         `json:"indexedAt"`
	Labels    []string       `json:"labels"`
}

func (f *Fake) profileView(a *account) profileView {
	n := a.generated
	for _, p := range a.changed {
		if p.deleted {
			n--
		}
	}
	for _, p := range a.made {
		if !p.deleted {
			n++
		}
	}
	return profileView{
		DID: a.did, Handle: a.handle, Labels: []string{}, Followers: a.followers + f.rounds, Follows: a.follows, Posts: n,
	}
}

// itemView shows one place of a feed; ok is false for a post that is gone or left out.
func (f *Fake) itemView(a *account, i item) (itemView, bool) {
	p := i.post
	if i.reposted {
		other, reposted := f.find(i.uri)
		if reposted == nil || reposted.deleted || other.state != Live {
			return itemView{}, false
		}
		return itemView{Post: f.postView(other, reposted), Reason: map[string]any{
			"$type": "app.bsky.feed.defs#reasonRepost", "by": authorView{a.did, a.handle, []string{}},
			"indexedAt": i.at.UTC().Format(layout),
		}}, true
	}
	if p == nil {
		p = f.generatedPost(a, i.number)
	}
	if p.deleted || p.hidden {
		return itemView{}, false
	}
	return itemView{Post: f.postView(a, p)}, true
}

func (f *Fake) postView(a *account, p *post) postView {
	created := p.CreatedAt
	if created == "" {
		created = p.At.UTC().Format(layout)
	}
	given := func(wire string, n int64) *int64 {
		if slices.Contains(p.Without, wire) {
			return nil
		}
		return &n
	}
	v := postView{
		URI: p.uri, CID: "bafyreifake", Author: authorView{a.did, a.handle, []string{}}, Labels: []string{},
		Record: recordView{
			Type: "app.bsky.feed.post", Text: p.Text, Langs: p.Langs, Embed: p.Embed, CreatedAt: created,
		},
		Bookmarks: given("bookmarkCount", p.Counts.Bookmarks), Replies: given("replyCount", p.Counts.Replies),
		Reposts: given("repostCount", p.Counts.Reposts), Likes: given("likeCount", p.Counts.Likes),
		Quotes: given("quoteCount", p.Counts.Quotes), IndexedAt: p.At.UTC().Format(layout),
	}
	if p.Reply {
		v.Record.Reply = map[string]any{
			"root": map[string]any{"uri": "at://did:plc:other/app.bsky.feed.post/1"}, "parent": map[string]any{},
		}
	}
	if p.Embed != nil { // what the AppView shows of an embed may bear another post's counters
		v.Embed = map[string]any{"$type": "app.bsky.embed.record#view", "record": map[string]any{
			"likeCount": 999_999, "replyCount": 999_999, "repostCount": 999_999, "quoteCount": 999_999,
		}}
	}
	return v
}
