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

func TestAgainstARealServer(t *testing.T) {
	s := findServer(t)
	cfg := rest.Default()
	cfg.AttemptTimeout, cfg.LimitFactor = 2*time.Second, 100
	hc, err := rest.NewClient(mastodon.Platform, cfg, rest.Deps{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{tb: t, hc: hc, col: mastodon.Platform.New(s.root)}
	brand, fan := s.join("brand"), s.join("fan")
	s.do(fan, http.MethodPost, "/api/v1/accounts/"+brand.ID+"/follow", nil, nil)

	var ids []string
	for i := range 45 { // more than a page
		ids = append(ids, s.publish(brand, fmt.Sprintf("post %d: «ça va?» & <more>", i), map[string]any{"language": "fr"}))
	}
	answer := s.publish(brand, "an answer", map[string]any{"in_reply_to_id": ids[0]})
	s.publish(fan, "me too", map[string]any{"in_reply_to_id": ids[1]})
	theirs := s.publish(fan, "theirs", nil)
	s.do(brand, http.MethodPost, "/api/v1/statuses/"+theirs+"/reblog", nil, nil)
	s.do(fan, http.MethodPost, "/api/v1/statuses/"+ids[1]+"/favourite", nil, nil)
	s.do(fan, http.MethodPost, "/api/v1/statuses/"+ids[1]+"/reblog", nil, nil)

	handle := "@" + brand.name + "@mastodon.example"
	tg := collectortest.Targets(t, b.col, hc, time.Time{}, handle)[0]
	if tg.Account.ID != brand.ID+"@mastodon.example" || tg.Account.Handle != handle {
		t.Errorf("resolved to %+v", tg.Account)
	}
	if _, err := b.col.Resolve(t.Context(), hc, "@nobody_at_all@mastodon.example"); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("Resolve of nobody = %v", err)
	}
	out := b.refresh(tg)
	if r := out.results[0]; !r.Complete || r.State != jauge.AccountLive || len(out.posts) != 46 {
		t.Fatalf("result %+v, %d posts", r, len(out.posts))
	}
	gauge := func(wire string) float64 { v, _ := value(out.account[tg.Account.ID], wire); return v }
	if gauge("followers_count") != 1 || gauge("following_count") != 0 || gauge("statuses_count") != 47 {
		t.Errorf("gauges %+v", out.account[tg.Account.ID])
	}
	liked := out.posts[ids[1]]
	if p := liked.Post; p.Excerpt != "post 1: «ça va?» & <more>" || p.Format != jauge.FormatText || p.Language != "fr" || p.Reply {
		t.Errorf("post %+v", p)
	}
	want := []jauge.WireValue{{Wire: "favourites_count", Value: 1}, {Wire: "replies_count", Value: 1}, {Wire: "reblogs_count", Value: 1}}
	if diff := cmp.Diff(want, liked.Values); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if out.posts[answer].Post.Format != jauge.FormatReply {
		t.Errorf("answer %+v", out.posts[answer].Post)
	}

	s.do(fan, http.MethodPost, "/api/v1/statuses/"+ids[1]+"/unfavourite", nil, nil)
	s.do(brand, http.MethodDelete, "/api/v1/statuses/"+ids[2], nil, nil)
	s.do(brand, http.MethodDelete, "/api/v1/statuses/"+ids[44], nil, nil)
	tg.Newest = out.posts[answer].Post.PublishedAt
	for _, id := range []string{ids[44], ids[2], ids[1], ids[0]} { // the older ones stand beyond the first page
		var i int
		for i = range ids {
			if ids[i] == id {
				break
			}
		}
		tg.Due = append(tg.Due, collectors.PostRef{ID: id, PublishedAt: out.posts[id].Post.PublishedAt, Rank: 45 - i})
	}
	out = b.refresh(tg)
	if r := out.results[0]; !r.Complete {
		t.Fatalf("second run: %+v", r)
	}
	if likes, _ := value(out.posts[ids[1]], "favourites_count"); likes != 0 || out.posts[ids[1]].PostState != jauge.PostLive {
		t.Errorf("unliked post: %+v", out.posts[ids[1]])
	}
	for _, i := range []int{2, 44} {
		if out.posts[ids[i]].PostState != jauge.PostDeleted {
			t.Errorf("deleted post %d: %+v", i, out.posts[ids[i]])
		}
	}

	for name, f := range map[string]struct {
		path   string
		effect map[string]any
	}{
		"429":       {"/api/v1/accounts/*", map[string]any{"type": "ratelimit", "headers": map[string]string{"Retry-After": "1"}}},
		"502":       {"/api/v1/accounts/*/statuses", map[string]any{"type": "status", "status": 502}},
		"malformed": {"/api/v1/statuses", map[string]any{"type": "malformed"}},
		"stalled":   {"/api/v1/accounts/" + brand.ID, map[string]any{"type": "timeout"}},
	} {
		s.fault(f.path, f.effect)
		out := b.refresh(tg)
		if r := out.results[0]; !r.Complete || len(out.posts) < 40 {
			t.Errorf("%s: result %+v, %d posts", name, r, len(out.posts))
		}
		s.heal()
	}
}
