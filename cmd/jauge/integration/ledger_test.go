//go:build integration

package integration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// account is what a platform truly says of an account now.
type account struct {
	id, handle                  string
	followers, following, posts float64
}

// post is what a platform truly says of a post now.
type post struct {
	id, account, format, language string
	permalinkEnd                  string // what its address ends with
	published                     time.Time
	counters                      map[string]float64 // by canonical name, sums included; absent ones are not in it
	state                         string             // live or deleted
}

// world is a real platform in which the test acts, with the truth kept beside.
type world interface {
	// settle waits until the platform itself shows the truth.
	settle(t *testing.T)
	truth() ([]account, []post)
}

// ledger holds what must stand in the store: it is told the truth at every reading, and knows nothing of the program.
// All readings of one test lie on one day, UTC.
type ledger struct {
	platform string
	brands   map[string]string // by account
	metrics  []string          // the counters that the platform offers, sums included
	accounts map[string]account
	posts    map[string]*entry
	readings int
}

// entry is a post that was read at least once.
type entry struct {
	post
	base map[string]float64 // what the first reading counts from: 0 where the post was published that day
}

func newLedger(platform string, brands map[string]string, metrics ...string) *ledger {
	return &ledger{platform: platform, brands: brands, metrics: metrics, accounts: map[string]account{}, posts: map[string]*entry{}}
}

// read takes down what a complete reading sees.
func (l *ledger) read(w world) {
	accounts, posts := w.truth()
	l.readings++
	for _, a := range accounts {
		if _, ours := l.brands[a.id]; ours {
			l.accounts[a.id] = a
		}
	}
	for _, p := range posts {
		if _, ours := l.brands[p.account]; !ours {
			continue
		}
		e := l.posts[p.id]
		switch {
		case p.state == "deleted" && e == nil: // deleted before it was ever seen
		case p.state == "deleted":
			e.state = p.state // its last counters stay
		case e == nil:
			e = &entry{post: p, base: map[string]float64{}}
			if p.published.UTC().Format(time.DateOnly) != today() {
				maps.Copy(e.base, p.counters)
			}
			l.posts[p.id] = e
		default:
			e.post = p
		}
	}
}

// day is the start of the running day.
func day() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }

// daily computes the day's rows: by account, format and day, the metrics with their values.
func (l *ledger) daily() map[string]map[string]float64 {
	out := map[string]map[string]float64{}
	at := func(account, format string, d time.Time) map[string]float64 {
		k := fmt.Sprintf("%s %s %s", account, format, d.UTC().Format(time.DateOnly))
		if out[k] == nil {
			out[k] = map[string]float64{}
		}
		return out[k]
	}
	now := day()
	for _, e := range l.posts {
		published := e.published.UTC().Truncate(24 * time.Hour)
		if e.format != "reply" {
			at(e.account, e.format, published)["posts_published"]++
		}
		fresh := published.Equal(now)
		if !fresh && l.readings < 2 {
			continue // nothing is known yet of what an old post gained
		}
		r := at(e.account, e.format, now)
		for _, m := range l.metrics {
			r[m] += e.counters[m] - e.base[m]
		}
		if _, ok := r["posts_published"]; !ok && l.readings >= 2 {
			r["posts_published"] = 0
		}
	}
	return out
}

// check compares everything that the store holds of the ledger's accounts.
func (l *ledger) check(t *testing.T, store reader) {
	t.Helper()
	l.checkAccounts(t, store)
	l.checkPosts(t, store)
	l.checkDaily(t, store)
	t.Log(l)
}

// String sums up what is compared.
func (l *ledger) String() string {
	sum, base, deleted := 0.0, 0.0, 0
	for _, e := range l.posts {
		for _, m := range l.metrics {
			sum += e.counters[m]
			base += e.base[m]
		}
		if e.state == "deleted" {
			deleted++
		}
	}
	return fmt.Sprintf("reading %d: %d accounts, %d posts (%d deleted), %v interactions, %v of them from before",
		l.readings, len(l.accounts), len(l.posts), deleted, sum, base)
}

// newest returns the account's newest instant row.
func newest(t *testing.T, store reader, account string) row {
	t.Helper()
	var out row
	for _, r := range store.rows(t, "social_account") {
		if r.text("account") == account && r.text("period") == "instant" && (out == nil || r["time"].(int64) > out["time"].(int64)) {
			out = r
		}
	}
	if out == nil {
		t.Fatalf("social_account has no instant row of %s", account)
	}
	return out
}

func (l *ledger) checkAccounts(t *testing.T, store reader) {
	t.Helper()
	for id, a := range l.accounts {
		got := newest(t, store, id)
		if age := time.Since(time.Unix(0, got["time"].(int64))); age < 0 || age > time.Hour {
			t.Errorf("account %s: time is %v, want the run's start", a.handle, got["time"])
		}
		want := row{
			"brand": l.brands[id], "platform": l.platform, "account": id, "period": "instant", "paid": "false",
			"handle": a.handle, "account_state": "live", "complete_reading": 1.0,
			"followers": a.followers, "following": a.following, "posts": a.posts,
		}
		if diff := cmp.Diff(want, pick(got, want)); diff != "" {
			t.Errorf("account %s (-truth +stored):\n%s", a.handle, diff)
		}
	}
}

// pick returns the columns of got that want names.
func pick(got, want row) row {
	out := row{}
	for k := range want {
		if v, ok := got[k]; ok {
			out[k] = v
		}
	}
	return out
}

// counters are all columns of a post that can bear one.
var counters = []string{
	"likes", "comments", "shares", "reposts", "quotes", "saves", "clicks", "engagements", "reach", "impressions", "views",
	"video_views", "watch_time", "video_completions",
}

func (l *ledger) checkPosts(t *testing.T, store reader) {
	t.Helper()
	want, got := map[string]row{}, map[string]row{}
	ends := map[string]string{}
	for id, e := range l.posts {
		r := row{
			"brand": l.brands[e.account], "platform": l.platform, "account": e.account, "format": e.format, "state": e.state,
			"published_at": e.published.UnixNano(), "time/s": e.published.Unix(),
		}
		if e.language != "" {
			r["language"] = e.language
		}
		for m, v := range e.counters {
			r[m] = v
		}
		want[id], ends[id] = r, e.permalinkEnd
	}
	for _, r := range store.rows(t, "social_post") {
		if _, ours := l.brands[r.text("account")]; !ours {
			t.Errorf("social_post holds a post of an account that nobody asked for: %s", r.text("account"))
			continue
		}
		id := r.text("post_id")
		if got[id] != nil {
			t.Errorf("social_post holds the post %s twice", id)
		}
		one := row{"time/s": r["time"].(int64) / 1e9}
		for _, c := range append([]string{"brand", "platform", "account", "format", "state", "published_at", "language"}, counters...) {
			if v, ok := r[c]; ok {
				one[c] = v
			}
		}
		got[id] = one
		if link := r.text("permalink"); len(link) < 10 || link[:4] != "http" || !endsWith(link, ends[id]) {
			t.Errorf("post %s: permalink %q, want an address that ends with %q", id, link, ends[id])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("social_post (-truth +stored):\n%s", diff)
	}
}

func endsWith(s, end string) bool { return len(s) >= len(end) && s[len(s)-len(end):] == end }

func (l *ledger) checkDaily(t *testing.T, store reader) {
	t.Helper()
	got := map[string]map[string]float64{}
	for _, r := range store.rows(t, "social_post_daily") {
		d := time.Unix(0, r["time"].(int64)).UTC()
		k := fmt.Sprintf("%s %s %s", r.text("account"), r.text("format"), d.Format(time.DateOnly))
		if r.text("day") != d.Format(time.DateOnly) || !d.Equal(d.Truncate(24*time.Hour)) {
			t.Errorf("social_post_daily %s: day %q does not fit the time %s", k, r.text("day"), d)
		}
		if r["estimated"] != 0.0 {
			t.Errorf("social_post_daily %s: estimated is %v; every reading was made today", k, r["estimated"])
		}
		if d.Equal(day()) && r["final"] != 0.0 {
			t.Errorf("social_post_daily %s: final is %v and the day still runs", k, r["final"])
		}
		values := map[string]float64{}
		for _, m := range append([]string{"posts_published"}, counters...) {
			if v, ok := r[m]; ok {
				values[m] = v.(float64)
			}
		}
		got[k] = values
	}
	if diff := cmp.Diff(l.daily(), got); diff != "" {
		t.Errorf("social_post_daily (-truth +stored):\n%s", diff)
	}
}

// kpi is one object of `jauge kpi --format json`.
type kpi struct {
	Brand, Platform, Account, Handle, KPI, Window, Day, Basis, Version *string
	Value, Numerator, Denominator                                      *float64
	Estimated, Complete                                                *bool
}

// figure is a KPI as far as the ledger can tell it.
type figure struct {
	Value, Numerator float64
	Denominator      *float64
	Basis            string
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// kpis asks the program for the KPIs of a window that ends today.
func (j *jauge) kpis(window string) map[string]figure {
	j.t.Helper()
	var list []kpi
	if err := json.Unmarshal([]byte(j.must("kpi", "--format", "json", "--window", window)), &list); err != nil {
		j.t.Fatalf("jauge kpi --format json: %v", err)
	}
	out := map[string]figure{}
	for _, k := range list {
		if text(k.Day) != today() {
			continue
		}
		if text(k.Window) != window {
			j.t.Errorf("jauge kpi --window %s gave a row of the window %q", window, text(k.Window))
		}
		name := fmt.Sprintf("%s %s %s %s", text(k.Brand), text(k.Platform), text(k.Account), text(k.KPI))
		if k.Value == nil || k.Numerator == nil || k.Estimated == nil || k.Complete == nil || text(k.Version) == "" {
			j.t.Errorf("KPI %s lacks value, numerator, estimated, complete or version", name)
			continue
		}
		if *k.Estimated || *k.Complete {
			j.t.Errorf("KPI %s: estimated %v, complete %v; every reading was made today and the day still runs", name, *k.Estimated, *k.Complete)
		}
		if _, twice := out[name]; twice {
			j.t.Errorf("KPI %s in window %s is given twice", name, window)
		}
		f := figure{*k.Value, *k.Numerator, k.Denominator, text(k.Basis)}
		if text(k.KPI) != "weighted_engagement_rate" {
			f.Basis = ""
		}
		out[name] = f
	}
	return out
}

// weights of weighted_engagement_rate, by default.
var weights = map[string]float64{"likes": 1, "comments": 2, "shares": 3, "saves": 3, "clicks": 2}

// checkKPIs compares every KPI of every window with one that is worked out from the ledger alone.
func (l *ledger) checkKPIs(t *testing.T, j *jauge) {
	t.Helper()
	for window, days := range map[string]int{"day": 1, "7d": 7, "28d": 28} {
		got := j.kpis(window)
		// A roll-up of a mean per day is left to the tests of the pipeline.
		maps.DeleteFunc(got, func(name string, _ figure) bool { return endsWith(name, " all posting_frequency") })
		near := cmp.Comparer(func(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-12*math.Max(math.Abs(a), math.Abs(b)) })
		if diff := cmp.Diff(l.figures(days), got, near); diff != "" {
			t.Errorf("KPIs of the window %s (-truth +stored):\n%s", window, diff)
		}
	}
}

// figures works out the KPIs of a window that ends today.
func (l *ledger) figures(days int) map[string]figure {
	out := map[string]figure{}
	members := map[string][]map[string]figure{}
	for id, brand := range l.brands {
		one := l.accountFigures(id, days)
		for name, f := range one {
			out[fmt.Sprintf("%s %s %s %s", brand, l.platform, id, name)] = f
		}
		members[brand] = append(members[brand], one)
	}
	for brand, list := range members {
		for name, f := range rollUp(list) {
			if name == "posting_frequency" {
				continue
			}
			out[fmt.Sprintf("%s %s all %s", brand, l.platform, name)] = f
			out[fmt.Sprintf("%s all all %s", brand, name)] = f
		}
	}
	return out
}

func (l *ledger) accountFigures(id string, days int) map[string]figure {
	first := day().AddDate(0, 0, 1-days)
	sum := map[string]float64{}
	seen := map[string]bool{}
	rows := l.daily()
	for _, e := range l.posts {
		if e.account != id {
			continue
		}
		for d := first; !d.After(day()); d = d.AddDate(0, 0, 1) {
			k := fmt.Sprintf("%s %s %s", id, e.format, d.Format(time.DateOnly))
			if seen[k] {
				continue
			}
			seen[k] = true
			for m, v := range rows[k] {
				sum[m] += v
				seen[m] = true
			}
		}
	}
	followers := l.accounts[id].followers
	out := map[string]figure{"followers": {Value: followers, Numerator: followers}}
	for _, m := range []string{"likes", "comments", "shares"} {
		if seen[m] {
			out[m] = figure{Value: sum[m], Numerator: sum[m]}
		}
	}
	ratio := func(name string, numerator, denominator float64, basis string) {
		if denominator != 0 {
			out[name] = figure{numerator / denominator, numerator, &denominator, basis}
		}
	}
	if seen["likes"] {
		engagements, weighted := 0.0, 0.0
		for _, m := range []string{"likes", "comments", "shares", "saves"} {
			engagements += sum[m]
			weighted += weights[m] * sum[m]
		}
		ratio("engagement_rate_followers", engagements, followers, "")
		ratio("weighted_engagement_rate", weighted, followers, "followers")
		ratio("applause_rate", sum["likes"], sum["posts_published"], "")
		ratio("conversation_rate", sum["comments"], sum["posts_published"], "")
		ratio("amplification_rate", sum["shares"], sum["posts_published"], "")
	}
	if seen["posts_published"] {
		ratio("posting_frequency", sum["posts_published"], float64(days), "")
	}
	return out
}

// rollUp adds up account by account: a ratio is the ratio of the sums.
func rollUp(list []map[string]figure) map[string]figure {
	out := map[string]figure{}
	names := map[string]bool{}
	for _, one := range list {
		for name := range one {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var f figure
		for _, one := range list {
			m, ok := one[name]
			if !ok {
				continue
			}
			f.Numerator += m.Numerator
			f.Basis = m.Basis
			if m.Denominator != nil {
				d := *m.Denominator
				if f.Denominator != nil {
					d += *f.Denominator
				}
				f.Denominator = &d
			}
		}
		f.Value = f.Numerator
		if f.Denominator != nil {
			f.Value /= *f.Denominator
		}
		out[name] = f
	}
	return out
}
