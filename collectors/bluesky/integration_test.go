//go:build integration

package bluesky_test

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
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/collectortest"
	"jauge.dev/jauge/collectors/rest"
)

// network is a real one on this machine; JAUGE_TEST_ATPROTO names its ready.json.
type network struct {
	PDS  string `json:"pds"`
	Bsky string `json:"bsky"`
}

// person is an account made for the test, with the right to write as it.
type person struct {
	*network
	DID    string `json:"did"`
	Handle string `json:"handle"`
	Token  string `json:"accessJwt"`
}

func loadNetwork(t *testing.T) *network {
	t.Helper()
	b, err := os.ReadFile(os.Getenv("JAUGE_TEST_ATPROTO"))
	if err != nil {
		t.Fatalf("set JAUGE_TEST_ATPROTO to the ready.json of a running network: %v", err)
	}
	n := &network{}
	if err := json.Unmarshal(b, n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *network) write(t *testing.T, token, method string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.PDS+"/xrpc/"+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.Contains(method, ".admin.") {
		req.SetBasicAuth("admin", token)
	} else if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", method, resp.Status, answer)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

func (n *network) person(t *testing.T, prefix string) *person {
	t.Helper()
	p, name := &person{network: n}, fmt.Sprintf("%s%d", prefix, time.Now().UnixNano()%1e9)
	n.write(t, "", "com.atproto.server.createAccount",
		map[string]any{"handle": name + ".test", "email": name + "@test.invalid", "password": "pw"}, p)
	return p
}

func (p *person) record(t *testing.T, collection string, record map[string]any) map[string]any {
	t.Helper()
	var ref map[string]any
	record["$type"], record["createdAt"] = collection, time.Now().UTC().Format(time.RFC3339Nano)
	p.write(t, p.Token, "com.atproto.repo.createRecord",
		map[string]any{"repo": p.DID, "collection": collection, "record": record}, &ref)
	return map[string]any{"uri": ref["uri"], "cid": ref["cid"]}
}

func (p *person) post(t *testing.T, text string) map[string]any {
	t.Helper()
	return p.record(t, "app.bsky.feed.post", map[string]any{"text": text, "langs": []string{"en"}})
}

func (p *person) remove(t *testing.T, uri any) {
	t.Helper()
	parts := strings.Split(strings.TrimPrefix(uri.(string), "at://"), "/")
	p.write(t, p.Token, "com.atproto.repo.deleteRecord",
		map[string]any{"repo": p.DID, "collection": parts[1], "rkey": parts[2]}, nil)
}

// read does one call of Collect against the network, again until ok or ten seconds are over: the AppView follows
// what was written within moments.
func (n *network) read(t *testing.T, ok func(reading) bool, targets ...collectors.Target) reading {
	t.Helper()
	hc, err := rest.NewClient(bluesky.Platform, rest.Default(), rest.Deps{Version: "test", Exempt: []string{n.Bsky}})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for tries := 0; ; tries++ {
		sink := &collectortest.Sink{}
		results, err := bluesky.Platform.New(n.Bsky).Collect(t.Context(),
			collectors.Request{Task: collectors.TaskRefresh, Targets: targets, HTTP: hc}, sink.Emit)
		if err != nil {
			t.Fatal(err)
		}
		collectortest.CheckPages(t, bluesky.Platform, targets, sink.Pages)
		collectortest.CheckResults(t, targets, results)
		if r := gather(sink.Pages, results); ok(r) || tries == 50 {
			return r
		}
		<-tick.C
	}
}

func TestRealNetwork(t *testing.T) {
	n := loadNetwork(t)
	acme, fan := n.person(t, "acme"), n.person(t, "fan")
	first, second := acme.post(t, "first"), acme.post(t, "second")
	third := acme.post(t, "third")
	reply := acme.record(t, "app.bsky.feed.post", map[string]any{"text": "answer", "reply": map[string]any{"root": first, "parent": first}})
	like := fan.record(t, "app.bsky.feed.like", map[string]any{"subject": first})
	fan.record(t, "app.bsky.feed.repost", map[string]any{"subject": first})
	quote := fan.record(t, "app.bsky.feed.post", map[string]any{"text": "quoting", "embed": map[string]any{"$type": "app.bsky.embed.record", "record": first}})
	acme.record(t, "app.bsky.feed.repost", map[string]any{"subject": quote})
	fan.record(t, "app.bsky.graph.follow", map[string]any{"subject": acme.DID})

	tg := target(acme.DID)
	r := n.read(t, func(r reading) bool {
		v := values(r.posts[first["uri"].(string)])
		return v["quoteCount"] == 1 && v["likeCount"] == 1 && v["replyCount"] == 1 && v["repostCount"] == 1 &&
			values(r.account[acme.DID])["followersCount"] == 1 && values(r.account[acme.DID])["postsCount"] == 4 && len(r.posts) == 4
	}, tg)
	want := map[string]float64{"likeCount": 1, "replyCount": 1, "repostCount": 1, "quoteCount": 1, "bookmarkCount": 0}
	if diff := cmp.Diff(want, values(r.posts[first["uri"].(string)])); diff != "" {
		t.Errorf("first post (-want +got):\n%s", diff)
	}
	want = map[string]float64{"followersCount": 1, "followsCount": 0, "postsCount": 4}
	if diff := cmp.Diff(want, values(r.account[acme.DID])); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
	if len(r.posts) != 4 || !r.results[0].Complete || r.posts[reply["uri"].(string)].Post.Format != jauge.FormatReply {
		t.Errorf("%d posts, %+v", len(r.posts), r.results)
	}

	acme.remove(t, second["uri"])
	fan.remove(t, like["uri"])
	tg.Newest = r.posts[reply["uri"].(string)].Post.PublishedAt
	for i, ref := range []map[string]any{reply, third, second, first} {
		o := r.posts[ref["uri"].(string)]
		tg.Due = append(tg.Due, collectors.PostRef{ID: o.ID, PublishedAt: o.Post.PublishedAt, Rank: i})
	}
	r = n.read(t, func(r reading) bool {
		return values(r.posts[first["uri"].(string)])["likeCount"] == 0 && r.posts[second["uri"].(string)].PostState == jauge.PostDeleted
	}, tg)
	if o := r.posts[second["uri"].(string)]; o.PostState != jauge.PostDeleted || o.Values != nil || !r.results[0].Complete {
		t.Errorf("removed post: %+v, %+v", o, r.results[0])
	}

	acme.write(t, acme.Token, "com.atproto.server.deactivateAccount", map[string]any{}, nil)
	n.write(t, "admin-pass", "com.atproto.admin.deleteAccount", map[string]any{"did": fan.DID}, nil)
	r = n.read(t, func(r reading) bool {
		return r.results[0].State != jauge.AccountLive && r.results[1].State != jauge.AccountLive
	}, tg, target(fan.DID))
	if r.results[0].State != jauge.AccountSuspended || r.results[1].State != jauge.AccountDeleted || len(r.posts) != 0 {
		t.Errorf("accounts that are gone: %+v, %d posts touched", r.results, len(r.posts))
	}
}
