package configs

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/schedule"
)

// File is what the YAML file says.
type File struct {
	Brands    []Brand
	KPIs      []KPI
	Weights   map[jauge.Platform]map[jauge.Metric]float64 // of weighted_engagement_rate; absent: the defaults
	Basis     map[jauge.Platform]jauge.Metric             // of weighted_engagement_rate; absent: the platform's own
	Schedules map[jauge.Platform]string                   // cron spec of the refresh task; absent: the platform's own
	Ladder    schedule.Ladder                             // when posts are read again; empty: the default one
}

// Brand is a brand with its accounts.
type Brand struct {
	Name       string
	Competitor bool
	Accounts   []Account
	Line       int
}

// Account is an account as the operator wrote it.
type Account struct {
	Platform   jauge.Platform
	Handle     string
	Brand      string
	Competitor bool
	Line       int
}

// KPI is an entry of the catalogue that the operator added, changed or switched off.
type KPI struct {
	jauge.KPI
	Line int
}

// Accounts lists the accounts of all brands.
func (f *File) Accounts() []Account {
	var out []Account
	for _, b := range f.Brands {
		out = append(out, b.Accounts...)
	}
	return out
}

// fileReader reads the file's parts.
type fileReader struct {
	reader

	platforms map[jauge.Platform]collectors.Platform
	names     []string // of platforms
	file      File
	brands    map[string]int    // lower-case name -> line
	seen      map[string]seenAt // platform and handle, as compared
}

type seenAt struct {
	brand string
	line  int
}

// ReadFile reads the YAML file's text. What it could read stands in File, every mistake in Mistakes.
func ReadFile(path string, b []byte, platforms []collectors.Platform, check func(File, KPI) error) (File, Mistakes) {
	r := &fileReader{
		reader:    reader{path: path},
		platforms: map[jauge.Platform]collectors.Platform{},
		brands:    map[string]int{},
		seen:      map[string]seenAt{},
		file: File{
			Weights:   map[jauge.Platform]map[jauge.Metric]float64{},
			Basis:     map[jauge.Platform]jauge.Metric{},
			Schedules: map[jauge.Platform]string{},
		},
	}
	for _, p := range platforms {
		r.platforms[p.Name] = p
		r.names = append(r.names, string(p.Name))
	}
	switch root := r.parse(b); {
	case root != nil:
		r.root(root)
	case len(r.mistakes) == 0: // cut short, perhaps; who wants all accounts to be connected ones says so by "brands: []"
		r.mistake(1, "is empty: list brands and accounts as in configs/example.yaml, or write brands: [] and connect accounts")
	}
	for _, k := range r.file.KPIs {
		if check == nil {
			break
		}
		if err := check(r.file, k); err != nil {
			r.mistake(k.Line, "KPI %s: %v", k.Name, err)
		}
	}
	return r.file, r.mistakes.sorted()
}

func (r *fileReader) root(n *yaml.Node) {
	r.keys(n, "the file", []string{"brands", "kpis", "weights", "basis", "schedules", "ladder"}, map[string]func(*yaml.Node){
		"brands":    func(n *yaml.Node) { r.items(n, "brands", r.brand) },
		"kpis":      func(n *yaml.Node) { r.each(n, "kpis", r.kpi) },
		"weights":   func(n *yaml.Node) { r.each(n, "weights", r.weights) },
		"basis":     func(n *yaml.Node) { r.each(n, "basis", r.basis) },
		"schedules": func(n *yaml.Node) { r.each(n, "schedules", r.schedule) },
		"ladder":    func(n *yaml.Node) { r.file.Ladder = r.ladder(n) },
	})
}

func (r *fileReader) brand(n *yaml.Node) {
	b := Brand{Line: n.Line}
	var accounts *yaml.Node
	named := false
	r.keys(n, "a brand", []string{"name", "competitor", "accounts"}, map[string]func(*yaml.Node){
		"name":       func(n *yaml.Node) { named, b.Name = true, r.brandName(n) },
		"competitor": func(n *yaml.Node) { b.Competitor = r.flag(n, "competitor") },
		"accounts":   func(n *yaml.Node) { accounts = n },
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	if !named {
		r.mistake(n.Line, "a brand has no name: add name: followed by the brand's name")
	}
	if accounts != nil {
		r.items(accounts, "accounts", func(n *yaml.Node) { r.account(n, &b) })
	}
	r.file.Brands = append(r.file.Brands, b)
}

const longestName = 100 // runes of a brand's name, which is a tag of every row

func (r *fileReader) brandName(n *yaml.Node) string {
	name := r.text(n, "the brand's name")
	lower := strings.ToLower(name)
	switch {
	case name == "":
	case lower == jauge.All:
		r.mistake(n.Line, "a brand may not be named %q, which stands for all accounts: choose another name", name)
	case utf8.RuneCountInString(name) > longestName:
		r.mistake(n.Line, "the brand's name is longer than %d letters: shorten it", longestName)
	case strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }):
		r.mistake(n.Line, "the brand's name %q holds characters that cannot be printed: remove them", name)
	case r.brands[lower] > 0:
		r.mistake(n.Line, "brand %q is already listed in line %d: put the accounts together under one", name, r.brands[lower])
	default:
		r.brands[lower] = n.Line
	}
	return name
}

func (r *fileReader) account(n *yaml.Node, b *Brand) {
	a := Account{Brand: b.Name, Competitor: b.Competitor, Line: n.Line}
	var platform, handle *yaml.Node
	r.keys(n, "an account", []string{"platform", "handle"}, map[string]func(*yaml.Node){
		"platform": func(n *yaml.Node) { platform, a.Platform = n, r.platform(n) },
		"handle":   func(n *yaml.Node) { handle, a.Handle = n, r.text(n, "the handle") },
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	if platform == nil {
		r.mistake(n.Line, "an account has no platform: add platform: with one of %s", strings.Join(r.names, ", "))
	}
	if handle == nil {
		r.mistake(n.Line, "an account has no handle: add handle: followed by the account's handle")
	}
	if a.Platform == "" || a.Handle == "" {
		return
	}
	if check := r.platforms[a.Platform].CheckHandle; check != nil {
		if err := check(a.Handle); err != nil {
			r.mistake(handle.Line, "%v", err)
			return
		}
	}
	key := string(a.Platform) + " " + strings.ToLower(strings.TrimPrefix(a.Handle, "@"))
	if was, ok := r.seen[key]; ok {
		r.mistake(n.Line, "%s", again(a, was))
		return
	}
	r.seen[key] = seenAt{b.Name, n.Line}
	b.Accounts = append(b.Accounts, a)
}

func again(a Account, was seenAt) string {
	if was.brand == a.Brand {
		return fmt.Sprintf("%s account %s is already listed in line %d: keep one", a.Platform, a.Handle, was.line)
	}
	return fmt.Sprintf("%s account %s is already listed under brand %q in line %d: an account belongs to one brand",
		a.Platform, a.Handle, was.brand, was.line)
}

// platform reads the name of a platform, "" where there is none of that name.
func (r *fileReader) platform(n *yaml.Node) jauge.Platform {
	name := r.text(n, "the platform")
	if name == "" {
		return ""
	}
	if _, ok := r.platforms[jauge.Platform(name)]; !ok {
		r.mistake(n.Line, "unknown platform %q: %s", name, didYouMean(name, r.names))
		return ""
	}
	return jauge.Platform(name)
}

func (r *fileReader) kpi(key, n *yaml.Node) {
	k := KPI{Line: key.Line}
	k.Name = key.Value
	if !isName(k.Name) {
		r.mistake(key.Line, "%q is no name of a KPI: use lower-case letters, digits and _, a letter first", k.Name)
	}
	text := func(to *string, what string) func(*yaml.Node) {
		return func(n *yaml.Node) { *to = r.text(n, what) }
	}
	r.keys(n, "a KPI", []string{"formula", "english", "french", "phase", "off"}, map[string]func(*yaml.Node){
		"formula": func(n *yaml.Node) { k.Formula, k.Line = r.text(n, "the formula"), n.Line },
		"english": text(&k.English, "the English label"),
		"french":  text(&k.French, "the French label"),
		"phase":   text(&k.Phase, "the phase"),
		"off":     func(n *yaml.Node) { k.Off = r.flag(n, "off") },
	})
	if k.Off && k.Formula != "" {
		r.mistake(key.Line, "KPI %s is switched off and has a formula: keep one", k.Name)
	}
	r.file.KPIs = append(r.file.KPIs, k)
}

func isName(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))) {
			return false
		}
	}
	return s != ""
}

func (r *fileReader) weights(key, n *yaml.Node) {
	p := r.platform(key)
	weights := map[jauge.Metric]float64{}
	r.each(n, "weights", func(key, n *yaml.Node) {
		m, ok := r.metric(key, interactions())
		if w := r.number(n, "a weight"); ok {
			if !(w >= 0 && w <= maxWeight) {
				r.mistake(n.Line, "weight %s is out of range: use a number from 0 to %d", n.Value, maxWeight)
			}
			weights[m] = w
		}
	})
	if p != "" {
		r.file.Weights[p] = weights
	}
}

const maxWeight = 1000

func interactions() []jauge.Metric {
	return []jauge.Metric{jauge.Likes, jauge.Comments, jauge.Shares, jauge.Saves, jauge.Clicks}
}

func bases() []jauge.Metric {
	return []jauge.Metric{jauge.Followers, jauge.Reach, jauge.Impressions, "views"}
}

// metric reads a metric's name, which must be one of those allowed.
func (r *fileReader) metric(n *yaml.Node, allowed []jauge.Metric) (jauge.Metric, bool) {
	name := r.text(n, "the metric")
	if slices.Contains(allowed, jauge.Metric(name)) {
		return jauge.Metric(name), true
	}
	if name != "" {
		names := make([]string, len(allowed))
		for i, m := range allowed {
			names[i] = string(m)
		}
		r.mistake(n.Line, "metric %q cannot stand here: %s", name, didYouMean(name, names))
	}
	return "", false
}

func (r *fileReader) basis(key, n *yaml.Node) {
	p := r.platform(key)
	if m, ok := r.metric(n, bases()); ok && p != "" {
		r.file.Basis[p] = m
	}
}

func (r *fileReader) schedule(key, n *yaml.Node) {
	p := r.platform(key)
	r.keys(n, "a schedule", []string{"refresh"}, map[string]func(*yaml.Node){
		"refresh": func(n *yaml.Node) {
			spec := r.text(n, "refresh")
			if spec == "" || p == "" {
				return
			}
			if err := checkCron(p, spec); err != nil {
				r.mistake(n.Line, "%v", err)
				return
			}
			r.file.Schedules[p] = spec
		},
	})
}

// checkCron asks the scheduler for its judgement. The cron library panics on a time zone with nothing behind it.
func checkCron(p jauge.Platform, spec string) error {
	if strings.Contains(spec, "TZ=") && !strings.Contains(spec, " ") {
		return fmt.Errorf(`%q is no cron spec: write it like "@every 15m" or "0 */2 * * *"`, spec)
	}
	c := schedule.Default()
	c.Every = map[jauge.Platform]string{p: spec}
	return c.Validate()
}

func (r *fileReader) ladder(n *yaml.Node) schedule.Ladder {
	var out schedule.Ladder
	r.items(n, "ladder", func(n *yaml.Node) {
		var g schedule.Rung
		r.keys(n, "a rung", []string{"younger_than", "every"}, map[string]func(*yaml.Node){
			"younger_than": func(n *yaml.Node) { g.Younger = r.duration(n, "younger_than") },
			"every":        func(n *yaml.Node) { g.Every = r.duration(n, "every") },
		})
		switch {
		case n.Kind != yaml.MappingNode:
			return
		case len(n.Content) < 4: //nolint:mnd // two keys with their values
			r.mistake(n.Line, "a rung needs younger_than and every, such as {younger_than: 1d, every: 1h}")
			return
		case g.Younger == 0 || g.Every == 0: // said already
			return
		case len(out) > 0 && g.Younger <= out[len(out)-1].Younger:
			r.mistake(n.Line, "the rungs must rise: younger_than must be above that of the rung before")
			return
		}
		c := schedule.Default()
		c.Ladder = schedule.Ladder{g}
		if err := c.Validate(); err != nil {
			r.mistake(n.Line, "a post is read again at most once a minute: raise every")
			return
		}
		out = append(out, g)
	})
	return out
}
