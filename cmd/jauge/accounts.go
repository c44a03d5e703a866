package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
)

const accountsHelp = `Lists every account that is or was configured: its stable id, what the platform says of it, when it was last read, and why
not if it was not. It tells what the scheduler remembers, also while the store is down.`

// accountRow is an account as it is shown; instants are UTC, zero for never.
type accountRow struct {
	Brand        string    `json:"brand"`
	Platform     string    `json:"platform"`
	Handle       string    `json:"handle"`
	Account      string    `json:"account"`
	Competitor   bool      `json:"competitor"`
	State        string    `json:"state"`
	LastSuccess  time.Time `json:"last_success"`
	LastComplete time.Time `json:"last_complete"`
	Removed      time.Time `json:"removed"`
	Failure      string    `json:"failure"`
}

var opAccounts = operation[struct{}, struct{}, []accountRow]{
	name: "accounts", parts: partState,
	do: func(ctx context.Context, a *App, _ struct{}, _ func(struct{})) ([]accountRow, error) {
		var out []accountRow
		for f, err := range a.state.Roster(ctx) {
			if err != nil {
				return nil, err
			}
			out = append(out, accountRowOf(&f))
		}
		return out, nil
	},
}

func accountRowOf(f *jauge.Followed) accountRow {
	r := accountRow{
		Brand: f.Account.Brand, Platform: string(f.Account.Platform), Handle: cmp.Or(f.Account.Handle, f.Configured),
		Account: f.Account.ID, Competitor: f.Account.Competitor, State: string(f.State),
		LastSuccess: f.LastSuccess, LastComplete: f.LastComplete, Removed: f.Removed,
	}
	switch {
	case f.Failure.Reason != "":
		r.Failure = f.Failure.Text
	case f.Elsewhere != "":
		r.Failure = "the handle leads to another account now: " + f.Elsewhere
	}
	return r
}

// configured adds the accounts of the file that were never read, as such.
func (c *cli) configured(cmd *cobra.Command) ([]accountRow, error) {
	cfg, err := c.load(cmd, settingsOnly)
	if err != nil {
		return nil, err
	}
	rows, err := opAccounts.perform(cmd, c, cfg, struct{}{}, nil)
	if err != nil {
		return nil, err
	}
	for _, a := range cfg.File.Accounts() {
		known := slices.ContainsFunc(rows, func(r accountRow) bool {
			return r.Platform == string(a.Platform) && bareHandle(r.Handle) == bareHandle(a.Handle)
		})
		if !known && len(rows) == 0 {
			rows = append(rows, accountRow{
				Brand: a.Brand, Platform: string(a.Platform), Handle: a.Handle, Competitor: a.Competitor, Failure: "never read",
			})
		}
	}
	return rows, nil
}

func newAccounts(c *cli) *cobra.Command {
	var format *string
	cmd := &cobra.Command{
		Use: "accounts", Short: "List accounts: ids, states, last success", Long: accountsHelp, Args: cobra.NoArgs,
		Example: "  jauge accounts\n  jauge accounts --format json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(*format, formatTable, formatJSON, formatCSV); err != nil {
				return err
			}
			rows, err := c.configured(cmd)
			if err != nil {
				return err
			}
			slices.SortStableFunc(rows, func(a, b accountRow) int {
				return cmp.Or(cmp.Compare(a.Brand, b.Brand), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Handle, b.Handle))
			})
			p, err := newPrinter(c.stdout, *format, []string{
				"brand", "platform", "handle", "account", "competitor", "state", "last_success", "last_complete", "removed", "failure",
			})
			if err != nil {
				return err
			}
			for _, r := range rows {
				if err := p.row([]any{
					r.Brand, r.Platform, r.Handle, orNil(r.Account), r.Competitor, orNil(r.State), whenOrNil(r.LastSuccess),
					whenOrNil(r.LastComplete), whenOrNil(r.Removed), orNil(r.Failure),
				}); err != nil {
					return err
				}
			}
			return p.end()
		},
	}
	format = formatFlag(cmd, formatTable, formatJSON, formatCSV)
	return cmd
}

// orNil makes an empty text an absent cell.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// whenOrNil makes an instant that never was an absent cell.
func whenOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
