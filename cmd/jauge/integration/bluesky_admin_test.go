//go:build integration

package integration_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"
)

// indexedAt is when the AppView says that it saw the post.
func (n *bluesky) indexedAt(t *testing.T, p *skeet) time.Time {
	t.Helper()
	var answer struct {
		Posts []struct{ IndexedAt time.Time }
	}
	if err := n.see("app.bsky.feed.getPosts", url.Values{"uris": {p.uri}}, &answer); err != nil || len(answer.Posts) != 1 {
		t.Fatalf("getPosts: %v, %d posts", err, len(answer.Posts))
	}
	return answer.Posts[0].IndexedAt.UTC()
}

// admin is the administrator of a network that is made for tests.
const admin = "admin:admin-pass"

// takedown suspends an account, or lets it back.
func (n *bluesky) takedown(a *actor, applied bool) {
	n.t.Helper()
	n.moderate(n.pds, object{"$type": "com.atproto.admin.defs#repoRef", "did": a.did}, applied)
}

func (n *bluesky) moderate(at string, subject object, applied bool) {
	n.t.Helper()
	takedown := object{"applied": applied}
	if applied {
		takedown["ref"] = "test"
	}
	b, err := json.Marshal(object{"subject": subject, "takedown": takedown})
	if err != nil {
		n.t.Fatal(err)
	}
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(admin))
	r := request{base: at, nsid: "com.atproto.admin.updateSubjectStatus", procedure: true, authorization: auth, contentType: "application/json", content: b}
	if err := n.call(r, nil); err != nil {
		n.t.Fatal(err)
	}
}

// hide takes a post down at the AppView, or shows it again, and waits until that is so.
func (n *bluesky) hide(t *testing.T, p *skeet, hidden bool) {
	t.Helper()
	n.moderate(n.app, object{"$type": "com.atproto.repo.strongRef", "uri": p.uri, "cid": p.cid}, hidden)
	poll(t, 30*time.Second, "the AppView to hide or show the post", func() (bool, string) {
		var answer struct{ Posts []struct{ URI string } }
		if err := n.see("app.bsky.feed.getPosts", url.Values{"uris": {p.uri}}, &answer); err != nil {
			return false, err.Error()
		}
		return (len(answer.Posts) == 0) == hidden, fmt.Sprintf("%d posts", len(answer.Posts))
	})
}

// gone waits until the AppView shows accounts no more.
func (n *bluesky) gone(t *testing.T, accounts ...*actor) {
	t.Helper()
	for _, a := range accounts {
		poll(t, 30*time.Second, "the AppView to hide "+a.handle, func() (bool, string) {
			err := n.see("app.bsky.actor.getProfile", url.Values{"actor": {a.did}}, nil)
			return err != nil, "it is still shown"
		})
	}
}
