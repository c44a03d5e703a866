//go:build integration

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jauge.dev/jauge/collectors/bluesky/bskyfake"
)

// appview is a stand-in for Bluesky's AppView, for tests that need much traffic or must know every call; the truth is
// kept beside as for the real ones.
type appview struct {
	*bskyfake.Fake
	url      string
	handles  []string
	dids     []string
	rand     *rand.Rand
	answered sync.Map // what was counted -> *atomic.Int64
	down     atomic.Bool

	mu    sync.Mutex
	posts []post
}

// raise makes accounts with posts of today and some older ones.
func raise(t *testing.T, accounts, posts int) *appview {
	t.Helper()
	v := &appview{Fake: bskyfake.New(), rand: rand.New(rand.NewPCG(1, uint64(accounts)))}
	now := time.Now().UTC().Truncate(time.Second)
	for a := range accounts {
		handle := fmt.Sprintf("account%d.test", a)
		did := v.Add(handle)
		v.handles, v.dids = append(v.handles, handle), append(v.dids, did)
		v.SetFollowers(did, int64(100*(a+1)), int64(a))
		for n := range posts {
			at := now.Add(-time.Duration(posts-n) * time.Second)
			if n < posts/4 {
				at = now.Add(-time.Duration(posts-n) * 7 * time.Hour)
			} else if at.Before(day()) {
				at = day()
			}
			uri := v.Post(did, bskyfake.Post{At: at, Text: fmt.Sprintf("post %d", n), Langs: []string{"en"}})
			v.posts = append(v.posts, post{
				id: uri, account: did, format: "text", language: "en", published: at, state: "live",
				permalinkEnd: uri[strings.LastIndex(uri, "/"):], counters: counted(bskyfake.Counts{}),
			})
		}
	}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// ServeHTTP counts what was answered; while the stand-in is down it refuses everything.
func (v *appview) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if v.down.Load() {
		http.Error(w, `{"error":"UpstreamFailure","message":"down"}`, http.StatusBadGateway)
		return
	}
	s := &copyWriter{ResponseWriter: w, status: http.StatusOK}
	v.Fake.ServeHTTP(s, r)
	if s.status != http.StatusOK {
		return
	}
	v.count(r.URL.Path[strings.LastIndex(r.URL.Path, ".")+1:], max(1, len(r.URL.Query()["actors"])))
	var answer struct {
		Feed, Posts []struct{}
		Profiles    []struct{ DID string }
	}
	if err := json.Unmarshal(s.body.Bytes(), &answer); err != nil {
		return
	}
	v.count("posts", len(answer.Feed)+len(answer.Posts))
	v.count("posts of "+r.URL.Query().Get("actor"), len(answer.Feed))
	for _, p := range answer.Profiles {
		v.count("profile of "+p.DID, 1)
	}
}

func (v *appview) count(what string, add int) {
	n, _ := v.answered.LoadOrStore(what, new(atomic.Int64))
	n.(*atomic.Int64).Add(int64(add))
}

// calls tells how many calls of a method were answered; of batches, the members. "posts" are the posts in all answers.
func (v *appview) calls(method string) int64 {
	n, ok := v.answered.Load(method)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

type copyWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copyWriter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *copyWriter) Write(b []byte) (int, error) {
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}

func counted(c bskyfake.Counts) map[string]float64 {
	return map[string]float64{
		"likes": float64(c.Likes), "comments": float64(c.Replies), "reposts": float64(c.Reposts), "quotes": float64(c.Quotes),
		"saves": float64(c.Bookmarks), "shares": float64(c.Reposts + c.Quotes),
	}
}

// live changes counters at random, up and down.
func (v *appview) live(changes int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for range changes {
		p := &v.posts[v.rand.IntN(len(v.posts))]
		if p.state != "live" {
			continue
		}
		n := func(limit int) int64 { return int64(v.rand.IntN(limit)) }
		c := bskyfake.Counts{Likes: n(500), Replies: n(50), Reposts: n(90), Quotes: n(20), Bookmarks: n(30)}
		v.SetCounts(p.id, c)
		p.counters = counted(c)
	}
}

// withdraw deletes a post at random.
func (v *appview) withdraw() {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := &v.posts[v.rand.IntN(len(v.posts))]
	v.Delete(p.id)
	p.state = "deleted"
}

func (v *appview) settle(*testing.T) {}

func (v *appview) truth() ([]account, []post) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var accounts []account
	for a, did := range v.dids {
		one := account{id: did, handle: v.handles[a], followers: float64(100 * (a + 1)), following: float64(a)}
		for _, p := range v.posts {
			if p.account == did && p.state == "live" {
				one.posts++
			}
		}
		accounts = append(accounts, one)
	}
	return accounts, append([]post(nil), v.posts...)
}

// config lists all accounts under one brand, each read once in the given time; the accounts are spread over it.
func (v *appview) config(every string) string {
	var b strings.Builder
	b.WriteString("brands:\n  - name: acme\n    accounts:\n")
	for _, h := range v.handles {
		fmt.Fprintf(&b, "      - {platform: bluesky, handle: %s}\n", h)
	}
	fmt.Fprintf(&b, "schedules:\n  bluesky: {refresh: \"@every %s\"}\n", every)
	return b.String()
}

func (v *appview) ledger() *ledger {
	brands := map[string]string{}
	for _, did := range v.dids {
		brands[did] = "acme"
	}
	return newLedger("bluesky", brands, blueskyMetrics...)
}
