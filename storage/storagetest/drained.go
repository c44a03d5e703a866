package storagetest

import (
	"fmt"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// Drained makes rows like those that a drained journal leaves, account by account, for benchmarks: each post's row and
// its history row of 20 days after base, and for every tenth post a daily row and three KPIs.
func Drained(base time.Time, accounts, posts int) []jauge.Record {
	seen := base.AddDate(0, 0, 20)
	var out []jauge.Record
	for a := range accounts {
		id := fmt.Sprintf("did:plc:%024d", a)
		tags := []string{"acme", "bluesky", id, "text"}
		for p := range posts {
			at := base.Add(time.Duration(p)*time.Hour + time.Duration(a*1_000_003+p))
			uri := fmt.Sprintf("at://%s/app.bsky.feed.post/%013d", id, p)
			bearing := func(fields ...any) []any {
				return append(fields, "likes", p%50, "comments", p%7, "shares", p%11, "reposts", p%5, "quotes", p%3, "saves", 0)
			}
			out = append(out,
				Row(jauge.SocialPost, at, tags, bearing(
					"post_id", uri, "permalink", "https://bsky.app/profile/"+id+"/post/"+uri[len(uri)-13:],
					"excerpt", strings.Repeat("some words of a post ", 5), "language", "fr", "published_at", at,
					"observed_at", seen, "state", "live", "final", false)...),
				Row(jauge.SocialPostHistory, seen.Add(time.Duration(p)), tags[:3], bearing("post_id", uri, "state", "live")...))
			if p%10 != 0 {
				continue
			}
			day := base.AddDate(0, 0, p/10)
			label := day.Format(time.DateOnly)
			out = append(out, Row(jauge.SocialPostDaily, day, tags,
				bearing("day", label, "final", true, "estimated", false, "posts_published", 3)...))
			for _, k := range []string{"likes", "comments", "shares"} {
				out = append(out, Row(jauge.SocialKPI, day, []string{"acme", "bluesky", id, k, "day"},
					"day", label, "value", 3, "estimated", false, "complete", true, "version", "1"))
			}
		}
	}
	return out
}
