// Package mastodon reads public figures of accounts on Mastodon and on servers that speak its API: gauges of the
// account, its posts with their counters. It needs no login and knows of no token.
//
// It must not sleep, keep anything between calls, look at the clock, or follow an address that a server names to
// another host: of a next page's address only the cursor is taken.
//
//	Resolve  WebFinger ─▶ the server that really serves the account ─▶ lookup ─▶ id@server
//	Collect  account ─▶ listing, newest first ─▶ due posts in batches ─▶ single reads of what is missing
package mastodon

import (
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/rest"
)

// Platform is Mastodon as the daemon sees it.
//
// An account's id is id@server: ids are unique per server only. The server is the one that answers API calls for
// the account, in lower case (WEB_DOMAIN in Mastodon's own configuration), so that Collect needs no discovery and
// several handles of one account give one id. Where the operator set a base, which stands in for every server and
// so cannot tell them apart, it is the domain of the handle.
var Platform = collectors.Platform{
	Name:  jauge.Mastodon,
	Every: "@hourly",
	// The accounts of a call are grouped by server; those of one server share batches.
	Group: 20,
	// Servers admit 300 calls in 5 minutes from one address, and 300 in 15 minutes with a cursor; what is left of
	// the latter is in their headers, which package rest obeys.
	Limit:       collectors.Limit{Calls: 240, In: 5 * time.Minute},
	Mapping:     mapping,
	CheckHandle: checkHandle,
	RateLimit:   rest.ISOReset("X-RateLimit-"),
	New:         func(base string) collectors.Collector { return newCollector(base) },
}

var mapping = jauge.Mapping{
	Fields: []jauge.Field{
		{Object: jauge.ObjectAccount, Wire: wireFollowers, Metric: jauge.Followers, Kind: jauge.Gauge},
		{Object: jauge.ObjectAccount, Wire: wireFollowing, Metric: jauge.Following, Kind: jauge.Gauge},
		{Object: jauge.ObjectAccount, Wire: wireStatuses, Metric: jauge.Posts, Kind: jauge.Gauge},
		{Object: jauge.ObjectPost, Wire: wireFavourites, Metric: jauge.Likes, Kind: jauge.Lifetime},
		{Object: jauge.ObjectPost, Wire: wireReplies, Metric: jauge.Comments, Kind: jauge.Lifetime},
		{
			Object: jauge.ObjectPost, Wire: wireReblogs, Metric: jauge.Reposts, Kind: jauge.Lifetime,
			Into: []jauge.Metric{jauge.Shares},
		},
		{ // since Mastodon 4.5; other server software lacks it
			Object: jauge.ObjectPost, Wire: wireQuotes, Metric: jauge.Quotes, Kind: jauge.Lifetime,
			Into: []jauge.Metric{jauge.Shares}, Varies: true,
		},
	},
	Zone:  time.UTC,
	Basis: jauge.Followers,
}

// The wire names.
const (
	wireFollowers  = "followers_count"
	wireFollowing  = "following_count"
	wireStatuses   = "statuses_count"
	wireFavourites = "favourites_count"
	wireReplies    = "replies_count"
	wireReblogs    = "reblogs_count"
	wireQuotes     = "quotes_count"
)

const (
	apiVersion = "v1"
	// pageSize is the most that a listing gives in one answer.
	pageSize = 40
	// batchSize is the most ids that a server takes in one call; with more it refuses the call.
	batchSize = 20
	// maxPages bounds a listing in one call of Collect; it is no depth, only an end to what should have ended.
	maxPages = 5000
	// maxEmpty bounds the pages in a row that hold nothing but name a next one.
	maxEmpty = 5
	// maxMissing bounds the single reads of posts that listing or batch missed, per account and call.
	maxMissing = 50
	// maxSingles bounds the single reads on a server without batches, per account and call.
	maxSingles = 60
)
