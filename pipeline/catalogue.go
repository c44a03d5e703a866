package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"jauge.dev/jauge"
)

// Catalogue is the default catalogue of KPIs; config adds to it, changes and switches off entries.
func Catalogue() []jauge.KPI {
	return []jauge.KPI{
		{Name: "followers", Formula: "followers", Phase: "awareness", English: "Followers", French: "Abonnés"},
		{Name: "follower_growth", Formula: "end(followers) - start(followers)", Phase: "awareness",
			English: "Follower growth", French: "Croissance des abonnés"},
		{Name: "follower_growth_rate", Formula: "(end(followers) - start(followers)) / start(followers)", Phase: "awareness",
			English: "Follower growth rate", French: "Taux de croissance des abonnés"},
		{Name: "likes", Formula: "likes", Phase: "interaction", English: "Likes", French: "J'aime"},
		{Name: "comments", Formula: "comments", Phase: "interaction", English: "Comments", French: "Commentaires"},
		{Name: "shares", Formula: "shares", Phase: "interaction", English: "Shares", French: "Partages"},
		{Name: "engagement_rate_followers", Formula: "(likes + comments + shares + saves + clicks) / followers",
			Phase: "interaction", English: "Engagement rate by followers", French: "Taux d'engagement par abonnés"},
		{Name: "weighted_engagement_rate", Formula: "weighted / basis", Phase: "interaction",
			English: "Weighted engagement rate", French: "Taux d'engagement pondéré"},
		{Name: "applause_rate", Formula: "likes / posts_published", Phase: "interaction",
			English: "Likes per post", French: "J'aime par publication"},
		{Name: "conversation_rate", Formula: "comments / posts_published", Phase: "interaction",
			English: "Comments per post", French: "Commentaires par publication"},
		{Name: "amplification_rate", Formula: "shares / posts_published", Phase: "interaction",
			English: "Shares per post", French: "Partages par publication"},
		{Name: "posting_frequency", Formula: "posts_published / days", Phase: "interaction",
			English: "Posts per day", French: "Publications par jour"},
	}
}

// DefaultWeights are the weights of weighted_engagement_rate where config gives none.
func DefaultWeights() map[jauge.Metric]float64 {
	return map[jauge.Metric]float64{jauge.Likes: 1, jauge.Comments: 2, jauge.Shares: 3, jauge.Saves: 3, jauge.Clicks: 2}
}

// kpi is a definition ready for use.
type kpi struct {
	jauge.KPI
	*formula
	version string
}

// compileKPIs checks all definitions; the error names every one that is wrong.
func compileKPIs(defs []jauge.KPI, weights map[jauge.Platform]map[jauge.Metric]float64, bases map[jauge.Platform]jauge.Metric) ([]kpi, error) {
	if defs == nil {
		defs = Catalogue()
	}
	var out []kpi
	seen := map[string]bool{}
	for _, d := range defs {
		if d.Off {
			continue
		}
		if d.Name == "" || seen[d.Name] {
			return nil, fmt.Errorf("kpi %q: a name is needed, once", d.Name)
		}
		seen[d.Name] = true
		f, err := compile(d.Formula)
		if err != nil {
			return nil, fmt.Errorf("kpi %s: %w", d.Name, err)
		}
		k := kpi{KPI: d, formula: f, version: d.Version}
		if k.version == "" {
			k.version = version(d.Formula, f, weights, bases)
		}
		out = append(out, k)
	}
	return out, nil
}

// version names what a value was computed with: formula, and the weights and bases where they enter.
func version(text string, f *formula, weights map[jauge.Platform]map[jauge.Metric]float64, bases map[jauge.Platform]jauge.Metric) string {
	h := sha256.New()
	fmt.Fprintln(h, text)
	if f.uses[identWeighted] {
		def := DefaultWeights()
		for _, m := range slices.Sorted(maps.Keys(def)) {
			fmt.Fprintln(h, m, def[m])
		}
		for _, p := range slices.Sorted(maps.Keys(weights)) {
			for _, m := range slices.Sorted(maps.Keys(weights[p])) {
				fmt.Fprintln(h, p, m, weights[p][m])
			}
		}
	}
	if f.uses[identBasis] {
		for _, p := range slices.Sorted(maps.Keys(bases)) {
			fmt.Fprintln(h, p, bases[p])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// CheckKPI tells whether a definition could be used, for config to say where it is wrong.
func CheckKPI(d jauge.KPI) error {
	_, err := compileKPIs([]jauge.KPI{d}, nil, nil)
	return err
}
