package pipeline_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline/pipelinetest"
)

// tables reads the tables of a Markdown page: heading -> rows of cells by column.
func tables(t *testing.T, path string) map[string][]map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]map[string]string{}
	heading, columns := "", []string(nil)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "### "):
			heading, columns = strings.TrimPrefix(line, "### "), nil
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--"):
		default:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if columns == nil {
				columns = cells
				continue
			}
			row := map[string]string{}
			for i, c := range columns {
				row[c] = cells[i]
			}
			out[heading] = append(out[heading], row)
		}
	}
	return out
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func moment(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateTime, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// example makes the history of the page from its first table.
func example(t *testing.T, readings []map[string]string) *pipelinetest.History {
	t.Helper()
	post := func(wire string, m jauge.Metric, into ...jauge.Metric) jauge.Field {
		return jauge.Field{Object: jauge.ObjectPost, Wire: wire, Metric: m, Into: into, Kind: jauge.Lifetime}
	}
	h := &pipelinetest.History{
		Name: "worked example",
		Mappings: map[jauge.Platform]jauge.Mapping{"plume": {Basis: jauge.Followers, Zone: time.UTC, Fields: []jauge.Field{
			{Object: jauge.ObjectAccount, Wire: "followers", Metric: jauge.Followers, Kind: jauge.Gauge},
			post("likes", jauge.Likes), post("comments", jauge.Comments), post("reposts", jauge.Reposts, jauge.Shares),
		}}},
		Members: []jauge.Member{{Account: jauge.Account{Platform: "plume", ID: "id", Handle: "acme", Brand: "acme"}}},
	}
	about := map[string]*jauge.Post{
		"A": {PublishedAt: moment(t, "2026-03-02 08:00:00"), Format: jauge.FormatText},
		"B": {PublishedAt: moment(t, "2026-03-03 21:00:00"), Format: jauge.FormatImage},
	}
	for i, r := range readings {
		if i == 0 || r["run"] != readings[i-1]["run"] {
			start := moment(t, r["at"])
			h.Pages = append(h.Pages, jauge.Page{
				Platform: "plume", Account: "id", Handle: "acme", Run: r["run"], RunStart: start, ObservedAt: start.Add(1),
				Complete: true, Observations: []jauge.Observation{{
					Object: jauge.ObjectAccount, ID: "id", Period: jauge.PeriodInstant, State: jauge.AccountLive,
					Values: []jauge.WireValue{{Wire: "followers", Value: number(t, r["followers"])}},
				}},
			})
		}
		o := jauge.Observation{
			Object: jauge.ObjectPost, ID: r["post"], Period: jauge.PeriodLifetime, PostState: jauge.PostState(r["state"]),
		}
		if o.PostState == jauge.PostLive {
			o.Post = about[o.ID]
			for _, wire := range []string{"likes", "comments", "reposts"} {
				o.Values = append(o.Values, jauge.WireValue{Wire: wire, Value: number(t, r[wire])})
			}
		}
		page := &h.Pages[len(h.Pages)-1]
		page.Observations = append(page.Observations, o)
	}
	return h
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// written writes some fields of a row as the page does.
func written(r *jauge.Record, columns ...string) string {
	var out []string
	for _, c := range columns {
		v, ok := r.Field(c)
		switch {
		case !ok:
			out = append(out, c+"=")
		case r.Schema.Columns[v.Col].Type == jauge.Float:
			out = append(out, fmt.Sprintf("%s=%v", c, v.Float()))
		case r.Schema.Columns[v.Col].Type == jauge.Flag:
			out = append(out, c+"="+yes(v.Bool()))
		case r.Schema.Columns[v.Col].Type == jauge.Instant:
			out = append(out, c+"="+time.Unix(v.Int()/1e9, 0).UTC().Format(time.DateTime))
		default:
			out = append(out, c+"="+v.Str)
		}
	}
	return strings.Join(out, " ")
}

// told writes the same of a line of the page.
func told(row map[string]string, columns ...string) string {
	names := map[string]string{"post_id": "post", "observed_at": "observed at", "day": "day"}
	var out []string
	for _, c := range columns {
		out = append(out, c+"="+row[or(names[c], c)])
	}
	return strings.Join(out, " ")
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// lines gives what the page says in a table and what the stored rows say, both sorted.
func lines(table []map[string]string, rows []jauge.Record, m jauge.Measurement, tag string, columns ...string) (page, stored []string) {
	for _, r := range table {
		page = append(page, r[tag]+" "+told(r, columns...))
	}
	for _, r := range rows {
		if r.Schema.Measurement == m {
			stored = append(stored, r.Tag(tag)+" "+written(&r, columns...))
		}
	}
	slices.Sort(page)
	slices.Sort(stored)
	return page, stored
}

// TestWorkedExample checks every number of docs/worked-example.md, against the oracle and against the pipeline.
func TestWorkedExample(t *testing.T) {
	page := tables(t, "../docs/worked-example.md")
	h := example(t, page["Readings"])
	var naive []jauge.Record
	for _, r := range h.Oracle().Rows(h.Pages) {
		naive = append(naive, r)
	}
	stored, err := deliver(pipelinetest.Deliveries()[1], 1)(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	for who, rows := range map[string][]jauge.Record{"oracle": naive, "pipeline": stored} {
		t.Run(who, func(t *testing.T) {
			want, got := lines(page["Posts"], rows, jauge.SocialPost, "format", "post_id", "state", "observed_at", "likes",
				"comments", "reposts", "shares")
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("posts (-page +stored):\n%s", d)
			}
			want, got = lines(page["Days"], rows, jauge.SocialPostDaily, "format", "day", "posts_published", "likes", "comments",
				"reposts", "shares", "estimated", "final")
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("days (-page +stored):\n%s", d)
			}
			checkValues(t, page["Values"], rows)
		})
	}
	checkGains(t, page)
}

// checkValues compares the page's KPIs with the account's rows and with the brand's. The window day must be told in full.
func checkValues(t *testing.T, table []map[string]string, rows []jauge.Record) {
	t.Helper()
	said := map[string]string{}
	for _, r := range table {
		r["day"] = r["last day"]
		said[strings.Join([]string{r["kpi"], r["window"], r["day"]}, " ")] = told(r, "numerator", "denominator", "basis", "estimated", "complete")
	}
	found := map[string]int{}
	for _, r := range rows {
		if r.Schema.Measurement != jauge.SocialKPI {
			continue
		}
		key := strings.Join([]string{r.Tag("kpi"), r.Tag("window"), r.Text("day")}, " ")
		want, ok := said[key]
		if got := written(&r, "numerator", "denominator", "basis", "estimated", "complete"); ok && got != want {
			t.Errorf("%s of %s: page says %s, stored is %s", key, r.Tag("account"), want, got)
		}
		if !ok && r.Tag("window") == "day" {
			t.Errorf("%s of %s is not on the page", key, r.Tag("account"))
		}
		found[key]++
	}
	for key := range said {
		if found[key] != 3 {
			t.Errorf("%s: %d rows, want one for the account, the platform and the brand", key, found[key])
		}
	}
}

// checkGains adds up the page's gains: they must give its days.
func checkGains(t *testing.T, page map[string][]map[string]string) {
	t.Helper()
	formats := map[string]string{"A": "text", "B": "image"}
	sums := map[string]float64{}
	for _, g := range page["Gains"] {
		for _, m := range []string{"likes", "comments", "reposts"} {
			sums[g["day"]+formats[g["post"]]+m] += number(t, g[m])
		}
	}
	for _, d := range page["Days"] {
		for _, m := range []string{"likes", "comments", "reposts"} {
			if got := sums[d["day"]+d["format"]+m]; got != number(t, d[m]) {
				t.Errorf("%s %s %s: the gains give %v, the day says %s", d["day"], d["format"], m, got, d[m])
			}
		}
	}
}
