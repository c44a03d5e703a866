package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
)

const kpiHelp = `Prints KPIs from the store: by default the newest value of every KPI, window and scope of the last 31 days, with --from or
--to every value in that range. A scope is an account, a platform of a brand (account "all"), or a brand (platform and
account "all"). Where a KPI is a ratio, numerator and denominator stand beside it. "complete" says that the whole window
was observed; the running day and its windows are not complete yet. A KPI without a value has no row: --explain says why.

` + spanHelp

const kpiExample = `  jauge kpi                                            # the newest of everything
  jauge kpi --window 7d --brand acme
  jauge kpi --kpi weighted_engagement_rate --account all --from 30d --format csv
  jauge kpi --account acme.example --window day --explain
  jauge kpi --list                                     # the catalogue with its formulas`

// newestWithin bounds how far back the newest value is looked for.
const newestWithin = 31 * 24 * time.Hour

var kpiColumns = []string{
	"brand", "platform", "account", "handle", "kpi", "window", "day", "value", "numerator", "denominator", "basis",
	"estimated", "complete", "version",
}

type kpiFlags struct {
	span
	window, brand, platform, account, kpi string
	explain, list                         bool
	format                                *string
}

func newKPI(c *cli) *cobra.Command {
	var f kpiFlags
	cmd := &cobra.Command{
		Use: "kpi", Short: "Print KPIs", Long: kpiHelp, Example: kpiExample, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.kpi(cmd, &f) },
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.window, "window", "", "day, 7d or 28d (default all)")
	cmd.Flags().StringVar(&f.brand, "brand", "", "only this brand")
	cmd.Flags().StringVar(&f.platform, "platform", "", `only this platform; "all" for brands as a whole`)
	cmd.Flags().StringVar(&f.account, "account", "", `only this account (handle or id); "all" for roll-ups`)
	cmd.Flags().StringVar(&f.kpi, "kpi", "", "only this KPI")
	cmd.Flags().BoolVar(&f.explain, "explain", false, "say how each value was made, or why there is none")
	cmd.Flags().BoolVar(&f.list, "list", false, "print the catalogue: names, formulas, labels")
	f.format = formatFlag(cmd, formatTable, formatJSON, formatCSV)
	return cmd
}

func (f *kpiFlags) check(platforms []string) error {
	if err := checkFormat(*f.format, formatTable, formatJSON, formatCSV); err != nil {
		return err
	}
	if f.window != "" {
		if _, err := jauge.ParseWindow(f.window); err != nil {
			return usagef("--window %v", err)
		}
	}
	if f.explain && (f.account == jauge.All || f.platform == jauge.All) {
		return usagef("--explain speaks of accounts: a roll-up is the sum of what it prints for each")
	}
	if f.platform != "" && f.platform != jauge.All && !slices.Contains(platforms, f.platform) {
		return usagef("--platform %q is unknown: choose one of %s, all", f.platform, strings.Join(platforms, ", "))
	}
	return nil
}

// ask turns the flags into a query; newest says that only the newest row of each scope is wanted.
func (f *kpiFlags) ask(now time.Time) (q jauge.Query, newest bool, err error) {
	q = jauge.Query{Measurement: jauge.SocialKPI, Match: map[string][]string{}, Desc: true}
	for tag, v := range map[string]string{"window": f.window, "brand": f.brand, "platform": f.platform, "kpi": f.kpi} {
		if v != "" {
			q.Match[tag] = []string{v}
		}
	}
	if f.account == jauge.All {
		q.Match["account"] = []string{jauge.All}
	}
	q.From, q.To, err = f.parse(now)
	if f.from == "" && f.to == "" {
		newest, q.From = true, now.Add(-newestWithin)
	}
	return q, newest, err
}

func (c *cli) kpi(cmd *cobra.Command, f *kpiFlags) error {
	if err := f.check(c.platformNames()); err != nil {
		return err
	}
	q, newest, err := f.ask(time.Now().UTC())
	if err != nil {
		return err
	}
	cfg, err := c.load(cmd, settingsOnly)
	if err != nil {
		return err
	}
	if f.list {
		return c.listKPIs(cfg, *f.format)
	}
	st, err := openToRead(cmd.Context(), cfg, c.logger(cfg, true))
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // nothing was written
	if f.explain {
		return c.explain(cmd.Context(), cfg, st, f, q)
	}
	return c.printKPIs(cmd.Context(), st, f, q, newest)
}

func (c *cli) printKPIs(ctx context.Context, st store, f *kpiFlags, q jauge.Query, newest bool) error {
	rows, err := readKPIs(ctx, st, q, newest)
	if err != nil {
		return err
	}
	handles, err := handlesOf(ctx, st, rows)
	if err != nil {
		return err
	}
	p, err := newPrinter(c.stdout, *f.format, kpiColumns)
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		handle := handles[keyOf(r)]
		if !sameAccount(f.account, r.Tag("account"), handle) {
			continue
		}
		if err := p.row(kpiCells(r, handle)); err != nil {
			return err
		}
	}
	return p.end()
}

func (c *cli) platformNames() []string {
	out := make([]string, len(c.platforms))
	for i, p := range c.platforms {
		out[i] = string(p.Name)
	}
	return out
}

func keyOf(r *jauge.Record) jauge.Key {
	return jauge.Key{Platform: jauge.Platform(r.Tag("platform")), Account: r.Tag("account")}
}

// sameAccount tells whether an account is the one that was asked for, by id or by handle.
func sameAccount(asked, id, handle string) bool {
	return asked == "" || asked == id || (handle != "" && bareHandle(asked) == bareHandle(handle))
}

func bareHandle(h string) string { return strings.ToLower(strings.TrimPrefix(h, "@")) }

// readKPIs reads the rows in the order of printing. Where only the newest are wanted, the first of each series is kept:
// the query goes back in time.
func readKPIs(ctx context.Context, st store, q jauge.Query, newest bool) ([]jauge.Record, error) {
	var rows []jauge.Record
	seen := map[[5]string]bool{}
	for r, err := range st.Read(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("read KPIs: %w", err)
		}
		if k := [5]string(r.Tags); newest && seen[k] {
			continue
		} else if newest {
			seen[k] = true
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b jauge.Record) int {
		for _, tag := range []string{"brand", "platform", "account", "kpi"} {
			if n := cmp.Compare(a.Tag(tag), b.Tag(tag)); n != 0 {
				return n
			}
		}
		return cmp.Or(
			cmp.Compare(jauge.Window(a.Tag("window")).Days(), jauge.Window(b.Tag("window")).Days()),
			cmp.Compare(a.Time, b.Time),
		)
	})
	return rows, nil
}

// handlesOf finds the newest handle of each account that the rows speak of.
func handlesOf(ctx context.Context, st store, rows []jauge.Record) (map[jauge.Key]string, error) {
	out := map[jauge.Key]string{}
	for i := range rows {
		k := keyOf(&rows[i])
		if _, ok := out[k]; ok || k.Account == jauge.All {
			continue
		}
		out[k] = ""
		for r, err := range st.Read(ctx, jauge.Query{
			Measurement: jauge.SocialAccount, Columns: []string{"handle"}, Limit: 1, Desc: true,
			Match: map[string][]string{
				"brand": {rows[i].Tag("brand")}, "platform": {string(k.Platform)}, "account": {k.Account}, "period": {string(jauge.PeriodInstant)},
			},
		}) {
			if err != nil {
				return nil, fmt.Errorf("read handle of %s: %w", k, err)
			}
			out[k] = r.Text("handle")
		}
	}
	return out, nil
}

// kpiCells gives a row in the order of kpiColumns.
func kpiCells(r *jauge.Record, handle string) []any {
	return []any{
		r.Tag("brand"), r.Tag("platform"), r.Tag("account"), orNil(handle), r.Tag("kpi"), r.Tag("window"), r.Text("day"),
		cellOf(r, "value"), cellOf(r, "numerator"), cellOf(r, "denominator"), orNil(r.Text("basis")),
		cellOf(r, "estimated"), cellOf(r, "complete"), orNil(r.Text("version")),
	}
}
