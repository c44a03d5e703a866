// Package providers holds every authorization server that jauge speaks with, as data, with code only for what is truly
// different. A provider is one file and one line in All.
package providers

import (
	"slices"

	"jauge.dev/jauge/collectors/oauth"
)

// All lists the providers, in the order of the gallery. The values are copies: who gets them may put the operator's
// settings in.
func All() []oauth.Provider {
	return []oauth.Provider{
		facebook(),
		instagram(),
		threads(),
		tiktok(),
		tiktokBusiness(),
		youtube(),
		linkedin(),
		x(),
		pinterest(),
		bluesky(),
		mastodon(),
	}
}

// ByName finds a provider as `jauge connect` names it.
func ByName(name string) (oauth.Provider, bool) {
	all := All()
	i := slices.IndexFunc(all, func(p oauth.Provider) bool { return p.Name == name })
	if i < 0 {
		return oauth.Provider{}, false
	}
	return all[i], true
}
