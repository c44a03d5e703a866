// Package bluesky reads public accounts and posts from the AppView of the AT Protocol, without a login. README.md
// says what is read and how. The package knows no other platform; its wire names are data in Platform.Mapping.
package bluesky

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/rest"
)

// Base is the public AppView.
const Base = "https://public.api.bsky.app"

// The platform's own bounds of one call.
const (
	maxActors = 25  // getProfiles
	maxURIs   = 25  // getPosts
	maxFeed   = 100 // getAuthorFeed
)

// Wire names, as the AppView spells them.
const (
	wireFollowers = "followersCount"
	wireFollows   = "followsCount"
	wirePosts     = "postsCount"
	wireLikes     = "likeCount"
	wireReplies   = "replyCount"
	wireReposts   = "repostCount"
	wireQuotes    = "quoteCount"
	wireBookmarks = "bookmarkCount"
)

// Platform is Bluesky, as the daemon sees it. The platform publishes no limit for its AppView; the share kept to is
// four fifths of what its other servers allow one address, 3,000 calls in 5 minutes.
var Platform = collectors.Platform{
	Name: jauge.Bluesky, Base: Base, Every: "@hourly", Group: maxActors,
	Limit:       collectors.Limit{Calls: 2400, In: 5 * time.Minute},
	CheckHandle: checkHandle,
	RateLimit:   rest.UnixReset("RateLimit-"),
	New: func(base string) collectors.Collector {
		if base == "" {
			base = Base
		}
		return collector{root: strings.TrimRight(base, "/") + "/xrpc/"}
	},
	Mapping: jauge.Mapping{Zone: time.UTC, Basis: jauge.Followers, Fields: []jauge.Field{
		{Object: jauge.ObjectAccount, Wire: wireFollowers, Metric: jauge.Followers, Kind: jauge.Gauge},
		{Object: jauge.ObjectAccount, Wire: wireFollows, Metric: jauge.Following, Kind: jauge.Gauge},
		{Object: jauge.ObjectAccount, Wire: wirePosts, Metric: jauge.Posts, Kind: jauge.Gauge},
		{Object: jauge.ObjectPost, Wire: wireLikes, Metric: jauge.Likes, Kind: jauge.Lifetime},
		{Object: jauge.ObjectPost, Wire: wireReplies, Metric: jauge.Comments, Kind: jauge.Lifetime},
		{Object: jauge.ObjectPost, Wire: wireReposts, Metric: jauge.Reposts, Into: []jauge.Metric{jauge.Shares}, Kind: jauge.Lifetime},
		{Object: jauge.ObjectPost, Wire: wireQuotes, Metric: jauge.Quotes, Into: []jauge.Metric{jauge.Shares}, Kind: jauge.Lifetime},
		{Object: jauge.ObjectPost, Wire: wireBookmarks, Metric: jauge.Saves, Kind: jauge.Lifetime},
	}},
}

type collector struct{ root string }

var _ collectors.Collector = collector{}

var (
	handleSyntax = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	didSyntax    = regexp.MustCompile(`^did:(plc:[a-z2-7]{24}|web:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-])$`)
)

const handleExample = "write a handle such as acme.bsky.social or a DID such as did:plc:z72i7hdynmk6r22z27h6tvur"

// checkHandle refuses what is neither a handle nor a DID.
func checkHandle(handle string) error {
	switch {
	case len(handle) <= 253 && handleSyntax.MatchString(handle), len(handle) <= 2048 && didSyntax.MatchString(handle):
		return nil
	case strings.HasPrefix(handle, "@") && handleSyntax.MatchString(handle[1:]):
		return fmt.Errorf("%q is no Bluesky handle: write it without the @", handle)
	}
	return fmt.Errorf("%q is no Bluesky handle: %s", handle, handleExample)
}

// Resolve implements collectors.Collector with app.bsky.actor.getProfile.
func (c collector) Resolve(ctx context.Context, hc *http.Client, handle string) (jauge.Account, error) {
	const op = "resolve handle"
	if err := checkHandle(handle); err != nil {
		return jauge.Account{}, &jauge.Error{Op: op, Reason: jauge.ReasonBadRequest, Err: err}
	}
	p, err := c.getProfile(ctx, hc, op, handle)
	if err != nil {
		return jauge.Account{}, notThere(err)
	}
	return jauge.Account{Platform: jauge.Bluesky, ID: p.DID, Handle: p.handleOr(handle)}, nil
}

// notThere gives the AppView's ways of saying that an account cannot be seen the reason that callers branch on, and
// says what its state means.
func notThere(err error) error {
	state := stateOf(err)
	e, ok := errors.AsType[*jauge.Error](err)
	if state == "" || !ok {
		return err
	}
	c := *e
	c.Reason = jauge.ReasonNotFound
	switch {
	case state == jauge.AccountDeleted:
		c.Hint = "check the spelling; nobody has this handle now"
	case strings.HasSuffix(e.Code, "Deactivated"):
		c.Hint = "its owner has deactivated the account; it can be read when it is back"
	default:
		c.Hint = "the platform has suspended the account"
	}
	return &c
}

func (c collector) address(method string, q url.Values) string {
	return c.root + method + "?" + q.Encode()
}
