//go:build integration

package integration_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bluesky is a real Bluesky network: accounts act through a PDS, and the AppView shows what came of it.
type bluesky struct {
	t        *testing.T
	pds, app string
	rand     *rand.Rand
	actors   []*actor
	posts    []*skeet
}

// actor is an account of the network.
type actor struct {
	did, handle, jwt string
	follows          map[*actor]string // whom it follows, with the URI of the record
}

// skeet is a post of the network, with everything that happened to it.
type skeet struct {
	uri, cid         string
	author           *actor
	format, language string
	published        time.Time
	root, parent     *skeet
	quoted           *skeet
	likes, reposts   map[*actor]string // who, with the URI of the record
	bookmarks        map[*actor]bool
	deleted          bool
}

// onePixel is a PNG of one pixel.
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// blueskyNetwork reaches the network that the environment names.
func blueskyNetwork(t *testing.T, seed uint64) *bluesky {
	t.Helper()
	b, err := os.ReadFile(needEnv(t, "JAUGE_TEST_ATPROTO"))
	if err != nil {
		t.Fatalf("the Bluesky network is not up (make testbed): %v", err)
	}
	var ready struct{ PDS, Bsky string }
	if err := json.Unmarshal(b, &ready); err != nil {
		t.Fatal(err)
	}
	return &bluesky{t: t, pds: ready.PDS, app: ready.Bsky, rand: rand.New(rand.NewPCG(seed, seed))}
}

// request is one XRPC call.
type request struct {
	base, nsid    string
	query         url.Values
	procedure     bool
	authorization string
	contentType   string
	content       []byte
}

// call does a call; into may be nil.
func (n *bluesky) call(r request, into any) error {
	method, address := http.MethodGet, r.base+"/xrpc/"+r.nsid
	if r.procedure {
		method = http.MethodPost
	}
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(n.t.Context(), method, address, bytes.NewReader(r.content))
	if err != nil {
		return err
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.authorization != "" {
		req.Header.Set("Authorization", r.authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d: %s", r.nsid, res.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// see asks the AppView.
func (n *bluesky) see(nsid string, query url.Values, into any) error {
	return n.call(request{base: n.app, nsid: nsid, query: query}, into)
}

// do does a procedure at the PDS that has to succeed; body may be nil.
func (n *bluesky) do(a *actor, nsid string, body, into any) {
	n.t.Helper()
	r := request{base: n.pds, nsid: nsid, procedure: true}
	if a != nil {
		r.authorization = "Bearer " + a.jwt
	}
	if body != nil {
		var err error
		if r.content, err = json.Marshal(body); err != nil {
			n.t.Fatal(err)
		}
		r.contentType = "application/json"
	}
	if err := n.call(r, into); err != nil {
		n.t.Fatal(err)
	}
}

type object = map[string]any

// join makes an account. Names are made unique, since the network outlives a test.
func (n *bluesky) join(name string) *actor {
	n.t.Helper()
	handle := fmt.Sprintf("%s-%x.test", name, time.Now().UnixNano()&0xffffffff)
	return n.joinAs(handle)
}

func (n *bluesky) joinAs(handle string) *actor {
	n.t.Helper()
	var made struct{ DID, AccessJwt string }
	n.do(nil, "com.atproto.server.createAccount", object{"handle": handle, "email": fmt.Sprintf("%x@test.invalid", time.Now().UnixNano()), "password": "pw-" + handle}, &made)
	a := &actor{did: made.DID, handle: handle, jwt: made.AccessJwt, follows: map[*actor]string{}}
	n.actors = append(n.actors, a)
	return a
}

type ref struct {
	URI string `json:"uri"`
	CID string `json:"cid"`
}

func (p *skeet) ref() ref { return ref{p.uri, p.cid} }

// record writes a record and returns where it is.
func (n *bluesky) record(a *actor, collection string, record object) ref {
	n.t.Helper()
	record["$type"] = collection
	if record["createdAt"] == nil {
		record["createdAt"] = instant(time.Now())
	}
	var made ref
	n.do(a, "com.atproto.repo.createRecord", object{"repo": a.did, "collection": collection, "record": record}, &made)
	return made
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (n *bluesky) remove(a *actor, uri string) {
	n.t.Helper()
	parts := strings.Split(uri, "/")
	n.do(a, "com.atproto.repo.deleteRecord", object{"repo": a.did, "collection": parts[3], "rkey": parts[4]}, nil)
}

// write makes a post of some format; at is its createdAt.
func (n *bluesky) write(a *actor, format string, at time.Time, about *skeet) *skeet {
	n.t.Helper()
	at = at.Truncate(time.Millisecond)
	p := &skeet{author: a, format: format, published: at.UTC(), likes: map[*actor]string{}, reposts: map[*actor]string{}, bookmarks: map[*actor]bool{}}
	p.language = []string{"en", "fr", ""}[n.rand.IntN(3)]
	record := object{"text": fmt.Sprintf("a %s, number %d: «ça va?» 🌦", format, len(n.posts)), "createdAt": instant(at)}
	if p.language != "" {
		record["langs"] = []string{p.language}
	}
	switch format {
	case "reply":
		p.parent, p.root = about, about
		if about.root != nil {
			p.root = about.root
		}
		record["reply"] = object{"root": p.root.ref(), "parent": about.ref()}
	case "quote":
		p.quoted = about
		record["embed"] = object{"$type": "app.bsky.embed.record", "record": about.ref()}
	case "link":
		record["embed"] = object{"$type": "app.bsky.embed.external", "external": object{"uri": "https://example.test/a", "title": "A", "description": "a page"}}
	case "image", "carousel":
		images := []object{{"alt": "a dot", "image": n.picture(a)}}
		if format == "carousel" {
			images = append(images, object{"alt": "another dot", "image": n.picture(a)})
		}
		record["embed"] = object{"$type": "app.bsky.embed.images", "images": images}
	}
	made := n.record(a, "app.bsky.feed.post", record)
	p.uri, p.cid = made.URI, made.CID
	n.posts = append(n.posts, p)
	return p
}

// picture uploads the picture for an account; a PDS keeps blobs per account.
func (n *bluesky) picture(a *actor) any {
	n.t.Helper()
	png, err := base64.StdEncoding.DecodeString(onePixel)
	if err != nil {
		n.t.Fatal(err)
	}
	var made struct{ Blob any }
	r := request{base: n.pds, nsid: "com.atproto.repo.uploadBlob", procedure: true, authorization: "Bearer " + a.jwt, contentType: "image/png", content: png}
	if err := n.call(r, &made); err != nil {
		n.t.Fatal(err)
	}
	return made.Blob
}

func (n *bluesky) like(a *actor, p *skeet) {
	n.t.Helper()
	if p.likes[a] == "" {
		p.likes[a] = n.record(a, "app.bsky.feed.like", object{"subject": p.ref()}).URI
	}
}

func (n *bluesky) repost(a *actor, p *skeet) {
	n.t.Helper()
	if p.reposts[a] == "" {
		p.reposts[a] = n.record(a, "app.bsky.feed.repost", object{"subject": p.ref()}).URI
	}
}

func (n *bluesky) bookmark(a *actor, p *skeet) {
	n.t.Helper()
	if !p.bookmarks[a] {
		n.do(a, "app.bsky.bookmark.createBookmark", p.ref(), nil)
		p.bookmarks[a] = true
	}
}

func (n *bluesky) follow(a, whom *actor) {
	n.t.Helper()
	if a != whom && a.follows[whom] == "" {
		a.follows[whom] = n.record(a, "app.bsky.graph.follow", object{"subject": whom.did}).URI
	}
}

func (n *bluesky) unfollow(a, whom *actor) {
	n.t.Helper()
	n.remove(a, a.follows[whom])
	delete(a.follows, whom)
}

// unlike takes back some like, repost or bookmark of the post; it tells whether there was one.
func (n *bluesky) undo(p *skeet) bool {
	n.t.Helper()
	for _, a := range n.actors {
		switch {
		case p.likes[a] != "":
			n.remove(a, p.likes[a])
			delete(p.likes, a)
		case p.reposts[a] != "":
			n.remove(a, p.reposts[a])
			delete(p.reposts, a)
		case p.bookmarks[a]:
			n.do(a, "app.bsky.bookmark.deleteBookmark", object{"uri": p.uri}, nil)
			delete(p.bookmarks, a)
		default:
			continue
		}
		return true
	}
	return false
}

// withdraw deletes a post.
func (n *bluesky) withdraw(p *skeet) {
	n.t.Helper()
	n.remove(p.author, p.uri)
	p.deleted = true
}

// someone and some pick at random.
func (n *bluesky) someone() *actor { return n.actors[n.rand.IntN(len(n.actors))] }

func (n *bluesky) some(of ...*actor) *skeet {
	var live []*skeet
	for _, p := range n.posts {
		if !p.deleted && (len(of) == 0 || slices.Contains(of, p.author)) {
			live = append(live, p)
		}
	}
	return live[n.rand.IntN(len(live))]
}

// live lets accounts act at random; the tracked ones write most of the posts.
func (n *bluesky) live(actions int, tracked ...*actor) {
	n.t.Helper()
	formats := []string{"text", "text", "link", "image", "carousel"}
	for range actions {
		author := tracked[n.rand.IntN(len(tracked))]
		switch n.rand.IntN(12) {
		case 0:
			n.write(author, formats[n.rand.IntN(len(formats))], time.Now(), nil)
		case 1:
			n.write(author, "quote", time.Now(), n.some())
		case 2, 3:
			n.write(n.someone(), "reply", time.Now(), n.some())
		case 4:
			n.write(n.someone(), "quote", time.Now(), n.some(tracked...))
		case 5:
			n.follow(n.someone(), n.someone())
		case 6, 7:
			n.repost(n.someone(), n.some())
		case 8:
			n.bookmark(n.someone(), n.some(tracked...))
		default:
			n.like(n.someone(), n.some(tracked...))
		}
	}
}

// counters are the numbers that the network must show of a post.
func (n *bluesky) counters(p *skeet) map[string]float64 {
	c := map[string]float64{
		"likes": float64(len(p.likes)), "reposts": float64(len(p.reposts)), "saves": float64(len(p.bookmarks)), "comments": 0, "quotes": 0,
	}
	for _, other := range n.posts {
		if other.deleted {
			continue
		}
		if other.parent == p {
			c["comments"]++
		}
		if other.quoted == p {
			c["quotes"]++
		}
	}
	c["shares"] = c["reposts"] + c["quotes"]
	return c
}

func (n *bluesky) truth() ([]account, []post) {
	var accounts []account
	for _, a := range n.actors {
		one := account{id: a.did, handle: a.handle, following: float64(len(a.follows))}
		for _, other := range n.actors {
			if other.follows[a] != "" {
				one.followers++
			}
		}
		for _, p := range n.posts {
			if p.author == a && !p.deleted {
				one.posts++
			}
		}
		accounts = append(accounts, one)
	}
	var posts []post
	for _, p := range n.posts {
		one := post{
			id: p.uri, account: p.author.did, format: p.format, language: p.language, published: p.published,
			counters: n.counters(p), state: "live", permalinkEnd: "/post/" + p.uri[strings.LastIndex(p.uri, "/")+1:],
		}
		if p.deleted {
			one.state = "deleted"
		}
		posts = append(posts, one)
	}
	return accounts, posts
}

// settle waits until the AppView shows the truth: it indexes what the PDS took a moment later. Its counters are counted
// anew at each event, several at a time, and the one that counted first may be written last: such a counter stays wrong
// until something else happens to its post, so that is made to happen.
func (n *bluesky) settle(t *testing.T) {
	t.Helper()
	diff := ""
	for try := range 4 {
		began := time.Now()
		poll(t, time.Minute, "the AppView to answer", func() (bool, string) {
			diff = n.behind()
			return diff == "" || time.Since(began) > 45*time.Second, diff
		})
		if diff == "" {
			return
		}
		t.Logf("the AppView's counters are stuck, try %d", try+1)
		n.shake()
	}
	t.Fatalf("the AppView does not show the truth: %s", diff)
}

// shake has an account that nobody reads do something about each post and account, and take it back.
func (n *bluesky) shake() {
	n.t.Helper()
	made := n.actors
	shaker := n.join("shaker")
	n.actors = made
	defer n.indexed(shaker)
	for _, p := range n.posts {
		if p.deleted {
			continue
		}
		for _, one := range []struct {
			collection string
			record     object
		}{
			{"app.bsky.feed.like", object{"subject": p.ref()}},
			{"app.bsky.feed.repost", object{"subject": p.ref()}},
			{"app.bsky.feed.post", object{"text": "quote", "embed": object{"$type": "app.bsky.embed.record", "record": p.ref()}}},
			{"app.bsky.feed.post", object{"text": "reply", "reply": object{"root": p.ref(), "parent": p.ref()}}},
		} {
			n.remove(shaker, n.record(shaker, one.collection, one.record).URI)
		}
	}
	for _, a := range n.actors {
		n.remove(shaker, n.record(shaker, "app.bsky.graph.follow", object{"subject": a.did}).URI)
		n.remove(a, n.record(a, "app.bsky.feed.post", object{"text": "gone at once"}).URI)
	}
}

// indexed waits until the AppView has indexed all that an account did: it takes an account's events in their order. Its
// counters follow a moment later.
func (n *bluesky) indexed(a *actor) {
	n.t.Helper()
	last := n.record(a, "app.bsky.feed.post", object{"text": "that was all"})
	poll(n.t, time.Minute, "the AppView to have indexed "+a.handle, func() (bool, string) {
		var answer struct{ Posts []struct{ URI string } }
		err := n.see("app.bsky.feed.getPosts", url.Values{"uris": {last.URI}}, &answer)
		return err == nil && len(answer.Posts) == 1, fmt.Sprint(err)
	})
	quiet := time.Now()
	poll(n.t, time.Minute, "the counters to follow", func() (bool, string) { return time.Since(quiet) > 5*time.Second, "" })
}

// behind says what the AppView shows other than it is.
func (n *bluesky) behind() string {
	accounts, posts := n.truth()
	want, got := map[string]any{}, map[string]any{}
	for chunk := range slices.Chunk(accounts, 25) {
		q := url.Values{}
		for _, a := range chunk {
			want[a.id] = a
			q.Add("actors", a.id)
		}
		var answer struct {
			Profiles []struct {
				DID, Handle                              string
				FollowersCount, FollowsCount, PostsCount float64
			}
		}
		if err := n.see("app.bsky.actor.getProfiles", q, &answer); err != nil {
			return err.Error()
		}
		for _, p := range answer.Profiles {
			got[p.DID] = account{p.DID, p.Handle, p.FollowersCount, p.FollowsCount, p.PostsCount}
		}
	}
	for chunk := range slices.Chunk(posts, 25) {
		q := url.Values{}
		for _, p := range chunk {
			if p.state == "live" {
				want[p.id] = p.counters
			}
			q.Add("uris", p.id)
		}
		var answer struct {
			Posts []struct {
				URI                                                           string
				LikeCount, RepostCount, ReplyCount, QuoteCount, BookmarkCount float64
			}
		}
		if err := n.see("app.bsky.feed.getPosts", q, &answer); err != nil {
			return err.Error()
		}
		for _, p := range answer.Posts {
			got[p.URI] = map[string]float64{
				"likes": p.LikeCount, "reposts": p.RepostCount, "comments": p.ReplyCount, "quotes": p.QuoteCount, "saves": p.BookmarkCount,
				"shares": p.RepostCount + p.QuoteCount,
			}
		}
	}
	return cmp.Diff(want, got, cmp.AllowUnexported(account{}))
}
