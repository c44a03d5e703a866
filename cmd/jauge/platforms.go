package main

import (
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/mastodon"
)

// platforms is THE list: a platform is one folder below collectors and one line here.
func platforms() []collectors.Platform {
	return []collectors.Platform{
		bluesky.Platform,
		mastodon.Platform,
	}
}
