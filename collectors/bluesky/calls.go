package bluesky

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/rest"
)

var (
	errNoList  = errors.New("answer lacks its list")
	errNoActor = errors.New("answer is about another account")
)

func malformed(op string, err error) error {
	return &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Status: http.StatusOK, Err: err}
}

// getProfile reads one profile. It is the call that says why an account cannot be seen: see stateOf.
func (c collector) getProfile(ctx context.Context, hc *http.Client, op, actor string) (profile, error) {
	p, _, err := rest.Get[profile](ctx, hc, op, c.address("app.bsky.actor.getProfile", url.Values{"actor": {actor}}))
	if err == nil && !didSyntax.MatchString(p.DID) {
		err = malformed(op, errNoActor)
	}
	return p, err
}

// getProfiles reads at most 25 profiles; those that cannot be seen are left out of the answer.
func (c collector) getProfiles(ctx context.Context, hc *http.Client, dids []string) (map[string]*profile, error) {
	const op = "read profiles"
	a, _, err := rest.Get[profilesAnswer](ctx, hc, op, c.address("app.bsky.actor.getProfiles", url.Values{"actors": dids}))
	if err != nil {
		return nil, err
	}
	if a.Profiles == nil {
		return nil, malformed(op, errNoList)
	}
	out := make(map[string]*profile, len(a.Profiles))
	for i := range a.Profiles {
		out[a.Profiles[i].DID] = &a.Profiles[i]
	}
	return out, nil
}

// getFeed reads a page of an account's posts and replies, newest first, and where the next one begins.
func (c collector) getFeed(ctx context.Context, hc *http.Client, did, cursor string) (feedAnswer, error) {
	const op = "list posts"
	q := url.Values{"actor": {did}, "filter": {"posts_with_replies"}, "limit": {strconv.Itoa(maxFeed)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	a, _, err := rest.Get[feedAnswer](ctx, hc, op, c.address("app.bsky.feed.getAuthorFeed", q))
	if err == nil && a.Feed == nil {
		err = malformed(op, errNoList)
	}
	return a, err
}

// getPosts reads at most 25 posts of any accounts; those that cannot be seen are left out of the answer.
func (c collector) getPosts(ctx context.Context, hc *http.Client, uris []string) (map[string]*postView, error) {
	const op = "read posts"
	a, _, err := rest.Get[postsAnswer](ctx, hc, op, c.address("app.bsky.feed.getPosts", url.Values{"uris": uris}))
	if err != nil {
		return nil, err
	}
	if a.Posts == nil {
		return nil, malformed(op, errNoList)
	}
	out := make(map[string]*postView, len(a.Posts))
	for i := range a.Posts {
		out[a.Posts[i].URI] = &a.Posts[i]
	}
	return out, nil
}

// presence is what a single read says of a post.
type presence uint8

const (
	unclear presence = iota
	present
	gone
)

// getPost reads one post by the call that says expressly when there is none.
func (c collector) getPost(ctx context.Context, hc *http.Client, uri string) (postView, presence, error) {
	q := url.Values{"uri": {uri}, "depth": {"0"}, "parentHeight": {"0"}}
	a, _, err := rest.Get[threadAnswer](ctx, hc, "read post", c.address("app.bsky.feed.getPostThread", q))
	if e, ok := errors.AsType[*jauge.Error](err); ok && e.Status == http.StatusBadRequest && e.Code == "NotFound" {
		return postView{}, gone, nil
	}
	switch {
	case err != nil:
		return postView{}, unclear, err
	case a.Thread.Type == typeNotFound:
		return postView{}, gone, nil
	case a.Thread.Type == typeThread && a.Thread.Post.URI == uri:
		return a.Thread.Post, present, nil
	}
	return postView{}, unclear, nil
}

// stateOf tells what getProfile's refusal says of an account; empty where it says nothing. The AppView answers 400
// with a word for accounts that exist and cannot be seen, and InvalidRequest for those that do not: the same word as
// for a malformed question, so the question must have been well-formed.
func stateOf(err error) jauge.AccountState {
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusNotFound {
		return ""
	}
	switch {
	case strings.HasSuffix(e.Code, "Takedown"), strings.HasSuffix(e.Code, "Takendown"),
		strings.HasSuffix(e.Code, "Suspended"), strings.HasSuffix(e.Code, "Deactivated"):
		return jauge.AccountSuspended
	case e.Code == "InvalidRequest", strings.HasSuffix(e.Code, "NotFound"):
		return jauge.AccountDeleted
	}
	return ""
}
