package pagestest

import (
	"time"

	"jauge.dev/jauge/internal/web/pages"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

// Accounts are one of each kind: every state, paused, from the file, a competitor, without a collector.
func Accounts() []pages.Account {
	now := time.Now()
	well := func(a pages.Account, quota int) pages.Account {
		a.State, a.Account = "ok", "live"
		a.LastSuccess, a.NextRun = now.Add(-12*time.Minute), now.Add(48*time.Minute)
		if quota > 0 {
			a.Quota = pages.Quota{Limit: 5000, Remaining: quota, Reset: now.Add(20 * time.Minute)}
		}
		return a
	}
	return []pages.Account{
		well(pages.Account{Key: "bluesky/did:plc:acme", Brand: "acme", Platform: "bluesky", Title: "Bluesky", ID: "did:plc:acme", Handle: "acme.example", FromConfig: true}, 2841),
		well(pages.Account{Key: "mastodon/1@mastodon.example", Brand: "acme", Platform: "mastodon", Title: "Mastodon", ID: "1@mastodon.example", Handle: "@acme@mastodon.example", Provider: "mastodon", Grant: "G1"}, 291),
		{
			Key: "x/44", Brand: "acme", Platform: "x", Title: "X", ID: "44", Handle: "@acme", Provider: "x", Grant: "G2", State: "revoked", Cause: "lost_in_refresh",
			Since: now.Add(-3 * hour), LastSuccess: now.Add(-4 * hour), Account: "live", Failure: "read profile: auth (HTTP 401): the access token is no longer valid",
		},
		{
			Key: "linkedin/55", Brand: "acme", Platform: "linkedin", Title: "LinkedIn", ID: "55", Handle: "Acme Industries", Provider: "linkedin", Grant: "G3", State: "expiring",
			Cause: "ends_soon", Since: now.Add(-2 * day), ExpiresAt: now.Add(6*day + 3*hour), LastSuccess: now.Add(-30 * time.Minute), NextRun: now.Add(3 * hour), Account: "live",
		},
		{
			Key: "tiktok/66", Brand: "acme", Platform: "tiktok", Title: "TikTok", ID: "66", Handle: "@acme.studio", Provider: "tiktok", Grant: "G4", State: "refresh_failed_transient",
			Cause: "server_error", Since: now.Add(-20 * time.Minute), LastSuccess: now.Add(-50 * time.Minute), NextRun: now.Add(10 * time.Minute), Account: "live",
		},
		{
			Key: "instagram/77", Brand: "acme labs", Platform: "instagram", Title: "Instagram", ID: "77", Handle: "acme.labs", Provider: "facebook", Grant: "G5", State: "scope_missing",
			Cause: "scope_missing", Since: now.Add(-26 * hour), LastSuccess: now.Add(-27 * hour), NoCollector: true,
		},
		{
			Key: "facebook/88", Brand: "acme labs", Platform: "facebook", Title: "Facebook", ID: "88", Handle: "Acme Labs", Provider: "facebook", Grant: "G5", State: "wrong_object",
			Cause: "wrong_object", Since: now.Add(-5 * day), LastSuccess: now.Add(-5 * day),
		},
		{
			Key: "youtube/99", Brand: "acme labs", Platform: "youtube", Title: "YouTube", ID: "99", Handle: "@acmelabs", Provider: "youtube", Grant: "G6", State: "ok", Account: "live",
			LastSuccess: now.Add(-9 * day), Paused: true,
		},
		{
			Key: "pinterest/acme", Brand: "acme labs", Platform: "pinterest", Title: "Pinterest", ID: "", Handle: "acmelabs", Provider: "pinterest", State: "never_connected", FromConfig: true,
		},
		well(pages.Account{Key: "bluesky/did:plc:rival", Brand: "rival", Competitor: true, Platform: "bluesky", Title: "Bluesky", ID: "did:plc:rival", Handle: "rival.example", FromConfig: true}, 0),
	}
}

// Warnings are one of each kind.
func Warnings() []pages.Warning {
	now := time.Now()
	return []pages.Warning{
		{Kind: "sunset_version", Platform: "facebook", Subject: "v22.0", When: now.Add(40 * day)},
		{Kind: "expiring", Platform: "linkedin", Subject: "Acme Industries", When: now.Add(6*day + 3*hour)},
	}
}

// Platforms are all that can be connected, some set up and some not.
func Platforms() []pages.Platform {
	const callback = "http://127.0.0.1:8080/oauth/callback"
	unset := func(app string) []string {
		return []string{"JAUGE_" + app + "_CLIENT_ID", "JAUGE_" + app + "_CLIENT_SECRET"}
	}
	return []pages.Platform{
		{Name: "bluesky", Title: "Bluesky", Ask: "handle", Configured: true, Callback: callback, Connected: 1, Scopes: []string{"atproto"}},
		{Name: "mastodon", Title: "Mastodon", Ask: "instance", Configured: true, Callback: callback, Connected: 1, Scopes: []string{"read:accounts", "read:statuses"}},
		{
			Name: "facebook", Title: "Facebook", Opens: []string{"Facebook", "Instagram"}, Configured: true, Callback: callback, Connected: 2,
			Scopes: []string{"pages_show_list", "pages_read_engagement", "read_insights", "instagram_basic", "instagram_manage_insights"},
			Hint:   "Log in as somebody who has a task on every page that should be followed.",
		},
		{Name: "x", Title: "X", Configured: true, Callback: callback, Connected: 1, Scopes: []string{"users.read", "tweet.read", "offline.access"}},
		{Name: "linkedin", Title: "LinkedIn", Configured: true, Callback: callback, Connected: 1, Scopes: []string{"r_organization_social", "rw_organization_admin"}},
		{Name: "instagram", Title: "Instagram", Missing: unset("INSTAGRAM"), Callback: callback, Docs: "https://developers.facebook.com/apps/"},
		{Name: "threads", Title: "Threads", Missing: unset("THREADS"), Callback: callback, Docs: "https://developers.facebook.com/apps/"},
		{Name: "tiktok", Title: "TikTok", Missing: unset("TIKTOK"), Callback: callback, Docs: "https://developers.tiktok.com/apps/", Hint: "TikTok accepts no redirect address on loopback for web apps: set JAUGE_PUBLIC_URL first."},
		{Name: "tiktok-business", Title: "TikTok for Business", Missing: unset("TIKTOK_BUSINESS"), Callback: callback},
		{Name: "youtube", Title: "YouTube", Missing: unset("GOOGLE"), Callback: callback, Docs: "https://console.cloud.google.com/apis/credentials"},
		{Name: "pinterest", Title: "Pinterest", Missing: unset("PINTEREST"), Callback: callback, Docs: "https://developers.pinterest.com/apps/"},
	}
}

// Choice opens a few pages and profiles.
func Choice() pages.Choice {
	return pages.Choice{
		Platform: "facebook", Title: "Facebook", Holder: "Camille Martin", Brand: "acme", Brands: []string{"acme", "acme labs"},
		Subjects: []pages.Subject{
			{Key: "facebook/101", Platform: "facebook", Title: "Facebook", Name: "Acme Industries", Handle: "acmeindustries", Chosen: true},
			{Key: "instagram/102", Platform: "instagram", Title: "Instagram", Name: "Acme", Handle: "@acme"},
			{Key: "facebook/103", Platform: "facebook", Title: "Facebook", Name: "Acme Labs", Handle: "acmelabs", FromConfig: true},
			{Key: "instagram/104", Platform: "instagram", Title: "Instagram", Name: "", Handle: "@acme.labs"},
		},
	}
}
