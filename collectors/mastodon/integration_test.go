//go:build integration

package mastodon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/mastodon"
	"jauge.dev/jauge/collectors/rest"
)

// realServer is one that somebody else wrote; JAUGE_TEST_MASTODON_URL names it.
type realServer struct {
	t    *testing.T
	root string
}

// person is an account made for the test, with the right to write as it.
type person struct {
	ID    string `json:"id"`
	Token string `json:"access_token"`
	name  string
}

func findServer(t *testing.T) *realServer {
	t.Helper()
	root := os.Getenv("JAUGE_TEST_MASTODON_URL")
	if root == "" {
		t.Fatal("set JAUGE_TEST_MASTODON_URL to a running mastodon_mock")
	}
	s := &realServer{t, strings.TrimRight(root, "/")}
	t.Cleanup(func() { s.heal() })
	return s
}

func (s *realServer) do(who *person, method, path string, in, out any) {
	s.t.Helper()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			s.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.root+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if who != nil {
		req.Header.Set("Authorization", "Bearer "+who.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s: %s, %v", method, path, resp.Status, b, err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *realServer) join(name string) *person {
	s.t.Helper()
	p := &person{name: fmt.Sprintf("%s_%x", name, time.Now().UnixNano()&0xffffffffff)}
	s.do(nil, http.MethodPost, "/api/v1/_mock/dev_user", map[string]any{"username": p.name}, p)
	return p
}

func (s *realServer) publish(p *person, text string, more map[string]any) string {
	s.t.Helper()
	in := map[string]any{"status": text, "visibility": "public"}
	for k, v := range more {
		in[k] = v
	}
	var made struct {
		ID string `json:"id"`
	}
	s.do(p, http.MethodPost, "/api/v1/statuses", in, &made)
	return made.ID
}

func (s *realServer) fault(path string, effect map[string]any) {
	s.t.Helper()
	s.do(nil, http.MethodPost, "/api/v1/_mock/faults",
		map[string]any{"match": map[string]any{"path": path}, "effect": effect, "count": 1}, nil)
}

func (s *realServer) heal() {
	req, err := http.NewRequest(http.MethodDelete, s.root+"/api/v1/_mock/faults", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

// life is what was done on the server for a test.
type life struct {
	*bench
	server     *realServer
	brand, fan *person
	ids        []string // of brand's posts, oldest first
	answer     string   // brand's reply
	target     collectors.Target
}

func live(t *testing.T) *life {
	t.Helper()
	s := findServer(t)
	cfg := rest.Default()
	cfg.AttemptTimeout, cfg.LimitFactor = 2*time.Second, 100
	hc, err := rest.NewClient(mastodon.Platform, cfg, rest.Deps{Version: "test", Exempt: []string{s.root}})
	if err != nil {
		t.Fatal(err)
	}
	l := &life{bench: &bench{tb: t, hc: hc, col: mastodon.Platform.New(s.root)}, server: s, brand: s.join("brand"), fan: s.join("fan")}
	s.do(l.fan, http.MethodPost, "/api/v1/accounts/"+l.brand.ID+"/follow", nil, nil)
	for i := range 45 { // more than a page
		l.ids = append(l.ids, s.publish(l.brand, fmt.Sprintf("post %d: «ça va?» & <more>", i), map[string]any{"language": "fr"}))
	}
	l.answer = s.publish(l.brand, "an answer", map[string]any{"in_reply_to_id": l.ids[0]})
	s.publish(l.fan, "me too", map[string]any{"in_reply_to_id": l.ids[1]})
	theirs := s.publish(l.fan, "theirs", nil)
	s.do(l.brand, http.MethodPost, "/api/v1/statuses/"+theirs+"/reblog", nil, nil)
	s.do(l.fan, http.MethodPost, "/api/v1/statuses/"+l.ids[1]+"/favourite", nil, nil)
	s.do(l.fan, http.MethodPost, "/api/v1/statuses/"+l.ids[1]+"/reblog", nil, nil)
	handle := "@" + l.brand.name + "@mastodon.example"
	l.target = collectortest.Targets(t, l.col, hc, time.Time{}, handle)[0]
	if l.target.Account.ID != l.brand.ID+"@mastodon.example" || l.target.Account.Handle != handle {
		t.Errorf("resolved to %+v", l.target.Account)
	}
	return l
}

func TestRealServerShowsWhatWasDone(t *testing.T) {
	l := live(t)
	if _, err := l.col.Resolve(t.Context(), l.hc, "@nobody_at_all@mastodon.example"); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("Resolve of nobody = %v", err)
	}
	out := l.refresh(l.target)
	if r := out.results[0]; !r.Complete || r.State != jauge.AccountLive || len(out.posts) != 46 {
		t.Fatalf("result %+v, %d posts", r, len(out.posts))
	}
	gauges := []jauge.WireValue{
		{Wire: "followers_count", Value: 1}, {Wire: "following_count"},
		{Wire: "statuses_count", Value: 47}, // the boost is counted
	}
	if diff := cmp.Diff(gauges, out.account[l.target.Account.ID].Values); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
	liked := out.posts[l.ids[1]]
	if p := liked.Post; p.Excerpt != "post 1: «ça va?» & <more>" || p.Format != jauge.FormatText || p.Language != "fr" || p.Reply {
		t.Errorf("post %+v", p)
	}
	want := []jauge.WireValue{{Wire: "favourites_count", Value: 1}, {Wire: "replies_count", Value: 1}, {Wire: "reblogs_count", Value: 1}}
	if diff := cmp.Diff(want, liked.Values); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if out.posts[l.answer].Post.Format != jauge.FormatReply {
		t.Errorf("answer %+v", out.posts[l.answer].Post)
	}
}

func TestRealServerAfterFallsAndDeletions(t *testing.T) {
	l := live(t)
	before := l.refresh(l.target)
	l.server.do(l.fan, http.MethodPost, "/api/v1/statuses/"+l.ids[1]+"/unfavourite", nil, nil)
	l.server.do(l.brand, http.MethodDelete, "/api/v1/statuses/"+l.ids[2], nil, nil)
	l.server.do(l.brand, http.MethodDelete, "/api/v1/statuses/"+l.ids[44], nil, nil)
	l.target.Newest = before.posts[l.answer].Post.PublishedAt
	for _, i := range []int{44, 2, 1, 0} { // the older ones stand beyond the first page
		l.target.Due = append(l.target.Due, collectors.PostRef{
			ID: l.ids[i], PublishedAt: before.posts[l.ids[i]].Post.PublishedAt, Rank: 45 - i,
		})
	}
	out := l.refresh(l.target)
	if r := out.results[0]; !r.Complete {
		t.Fatalf("result %+v", r)
	}
	if likes, ok := value(out.posts[l.ids[1]], "favourites_count"); !ok || likes != 0 || out.posts[l.ids[1]].PostState != jauge.PostLive {
		t.Errorf("unliked post: %+v", out.posts[l.ids[1]])
	}
	for _, i := range []int{2, 44} {
		if out.posts[l.ids[i]].PostState != jauge.PostDeleted {
			t.Errorf("deleted post %d: %+v", i, out.posts[l.ids[i]])
		}
	}
}

func TestRealServerThatMisbehaves(t *testing.T) {
	l := live(t)
	first := l.refresh(l.target)
	l.target.Newest = first.posts[l.answer].Post.PublishedAt
	l.target.Due = []collectors.PostRef{{ID: l.ids[0], PublishedAt: first.posts[l.ids[0]].Post.PublishedAt, Rank: 45}}
	for name, f := range map[string]struct {
		path   string
		effect map[string]any
	}{
		"429":       {"/api/v1/accounts/*", map[string]any{"type": "ratelimit", "headers": map[string]string{"Retry-After": "1"}}},
		"502":       {"/api/v1/accounts/*/statuses", map[string]any{"type": "status", "status": 502}},
		"malformed": {"/api/v1/statuses", map[string]any{"type": "malformed"}},
		"stalled":   {"/api/v1/accounts/" + l.brand.ID, map[string]any{"type": "timeout"}},
	} {
		l.server.fault(f.path, f.effect)
		out := l.refresh(l.target)
		if r := out.results[0]; !r.Complete || out.posts[l.ids[0]].PostState != jauge.PostLive {
			t.Errorf("%s: result %+v, %d posts", name, r, len(out.posts))
		}
		l.server.heal()
	}
}
