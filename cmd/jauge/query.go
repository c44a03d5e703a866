package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
)

const queryHelp = `Prints rows of the store as they are: the time, the tags and the fields of one measurement.

Measurements:
  social_account           an account at a moment or in a period: followers, state, handle
  social_account_history   period figures at every reading
  social_post              posts with their newest counters
  social_post_history      posts at every reading (kept for 90 days unless set otherwise)
  social_post_daily        what all posts of an account gained in a day
  social_kpi               KPIs (jauge kpi prints them more readably)
  restatement              figures that a platform changed afterwards

` + spanHelp

const queryExample = `  jauge query social_post --match platform=bluesky --columns post_id,likes,state --limit 20
  jauge query social_post_daily --match brand=acme --from 7d --format csv
  jauge query social_account --match period=instant --match handle=acme.example --newest --limit 1 --format json`

type queryFlags struct {
	span
	match   []string
	columns []string
	limit   int
	newest  bool
	format  *string
}

func newQuery(c *cli) *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use: "query MEASUREMENT", Short: "Print stored rows: measurement, filters, range", Long: queryHelp, Example: queryExample,
		Args: cobra.ExactArgs(1), ValidArgs: measurements(),
		RunE: func(cmd *cobra.Command, args []string) error { return c.query(cmd, &f, args[0]) },
	}
	f.flags(cmd)
	cmd.Flags().StringArrayVar(&f.match, "match", nil, "tag=value or text-field=value; repeat a tag for any of several values")
	cmd.Flags().StringSliceVar(&f.columns, "columns", nil, "fields to print, apart by commas (default all)")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "at most so many rows (default no limit)")
	cmd.Flags().BoolVar(&f.newest, "newest", false, "newest rows first")
	f.format = formatFlag(cmd, formatTable, formatJSON, formatCSV)
	return cmd
}

func measurements() []string {
	var out []string
	for _, s := range jauge.Schemas() {
		out = append(out, string(s.Measurement))
	}
	return out
}

// ask turns the flags into a query.
func (f *queryFlags) ask(measurement string, now time.Time) (*jauge.Schema, jauge.Query, error) {
	q := jauge.Query{Measurement: jauge.Measurement(measurement), Limit: f.limit, Desc: f.newest, Match: map[string][]string{}}
	s := jauge.SchemaOf(q.Measurement)
	if s == nil {
		return nil, q, usagef("measurement %q is unknown: choose one of %s", measurement, strings.Join(measurements(), ", "))
	}
	if f.limit < 0 {
		return nil, q, usagef("--limit %d is below 0", f.limit)
	}
	for _, m := range f.match {
		name, value, ok := strings.Cut(m, "=")
		if i := s.Column(name); !ok || (s.Tag(name) < 0 && (i < 0 || s.Columns[i].Type != jauge.Text)) {
			return nil, q, usagef("--match %q: write name=value, with one of the tags %s or a field that holds text", m, strings.Join(s.Tags, ", "))
		}
		q.Match[name] = append(q.Match[name], value)
	}
	for _, name := range f.columns {
		if s.Column(name) < 0 {
			return nil, q, usagef("--columns: %s has no field %q; it has %s", measurement, name, strings.Join(fields(s), ", "))
		}
	}
	q.Columns = f.columns
	var err error
	q.From, q.To, err = f.parse(now)
	return s, q, err
}

func fields(s *jauge.Schema) []string {
	out := make([]string, len(s.Columns))
	for i, col := range s.Columns {
		out[i] = col.Name
	}
	return out
}

func (c *cli) query(cmd *cobra.Command, f *queryFlags, measurement string) error {
	if err := checkFormat(*f.format, formatTable, formatJSON, formatCSV); err != nil {
		return err
	}
	s, q, err := f.ask(measurement, time.Now())
	if err != nil {
		return err
	}
	cfg, err := c.load(cmd, settingsOnly)
	if err != nil {
		return err
	}
	st, err := openToRead(cmd.Context(), cfg, c.logger(cfg, true))
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // nothing was written
	wanted := f.columns
	if len(wanted) == 0 {
		wanted = fields(s)
	}
	p, err := newPrinter(c.stdout, *f.format, slices.Concat([]string{"time"}, s.Tags, wanted))
	if err != nil {
		return err
	}
	for r, err := range st.Read(cmd.Context(), q) {
		if err != nil {
			return fmt.Errorf("read %s: %w", measurement, err)
		}
		if err := p.row(cellsOf(&r, wanted)); err != nil {
			return err
		}
	}
	return p.end()
}

// cellsOf gives time, tags and the wanted fields of a row.
func cellsOf(r *jauge.Record, wanted []string) []any {
	cells := make([]any, 0, 1+len(r.Tags)+len(wanted))
	cells = append(cells, instant(r.Time))
	for _, t := range r.Tags {
		cells = append(cells, t)
	}
	for _, name := range wanted {
		cells = append(cells, cellOf(r, name))
	}
	return cells
}

// cellOf gives a field as what its column says, nil where it is absent.
func cellOf(r *jauge.Record, name string) any {
	v, ok := r.Field(name)
	if !ok {
		return nil
	}
	switch r.Schema.Columns[v.Col].Type {
	case jauge.Float:
		return v.Float()
	case jauge.Instant:
		return instant(v.Int())
	case jauge.Integer:
		return v.Int()
	case jauge.Flag:
		return v.Bool()
	case jauge.Text:
	}
	return v.Str
}

func instant(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
