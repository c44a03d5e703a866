package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

const accountsHelp = `Lists every account that is or was followed: which grant it is read by and how that is, what the platform says of the
account, when it was last read, when it is read next (while a daemon runs), and why not if it was not. It tells what the
scheduler remembers, also while the store is down.

STATE is the grant's: ok (also where none is needed), expiring, refresh_failed_transient, revoked, wrong_object,
scope_missing or never_connected. ACCOUNT_STATE is the platform's word: live, moved, suspended, deleted or private.`

// accountRow is an account as it is shown; instants are UTC, zero for never.
type accountRow struct {
	Brand        string    `json:"brand"`
	Platform     string    `json:"platform"`
	Account      string    `json:"account"`
	Handle       string    `json:"handle"`
	State        string    `json:"state"`
	Since        time.Time `json:"since"`
	Cause        string    `json:"cause"`
	ExpiresAt    time.Time `json:"expires_at"`
	AccountState string    `json:"account_state"`
	LastSuccess  time.Time `json:"last_success"`
	NextRun      time.Time `json:"next_run"`
	Competitor   bool      `json:"competitor"`
	LastComplete time.Time `json:"last_complete"`
	Removed      time.Time `json:"removed"`
	Failure      string    `json:"failure"`

	provider, grant, avatar string // for the pages
	paused, fromConfig      bool
}

var opAccounts = operation[struct{}, struct{}, []accountRow]{
	name: "accounts", parts: partVault,
	do: func(ctx context.Context, a *App, _ struct{}, _ func(struct{})) ([]accountRow, error) {
		return a.accountRows(ctx)
	},
}

// accountRows lists the accounts that the scheduler remembers, those that the file lists, and those that are connected
// and that no collector reads yet.
func (a *App) accountRows(ctx context.Context) ([]accountRow, error) {
	grants, err := a.grants(ctx)
	if err != nil {
		return nil, err
	}
	next, err := a.nextRuns(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := a.listed(ctx, &a.cfg.File)
	if err != nil {
		return nil, err
	}
	var out []accountRow
	known := names{}
	for f, err := range a.state.Roster(ctx) {
		if err != nil {
			return nil, err
		}
		known.add(f.Account.Platform, f.Account.ID, f.Configured)
		r := accountRowOf(&f)
		r.NextRun = next[f.Account.Platform][f.Configured]
		r.fromConfig = f.Removed.IsZero() && listed.has(f.Account.Platform, f.Account.ID, f.Configured)
		if f.Removed.IsZero() {
			r.stand(grantOf(grants, f.Account.Platform, f.Account.ID, f.Configured))
		}
		out = append(out, r)
	}
	for _, acc := range a.cfg.File.Accounts() { // never read
		if !known.has(acc.Platform, "", acc.Handle) {
			r := accountRow{Brand: acc.Brand, Platform: string(acc.Platform), Handle: acc.Handle, Competitor: acc.Competitor, fromConfig: true}
			r.stand(grantOf(grants, acc.Platform, "", acc.Handle))
			known.add(acc.Platform, r.Account, acc.Handle)
			out = append(out, r)
		}
	}
	for i := range grants {
		for k := range grants[i].Follows {
			f := &grants[i].Follows[k]
			if known.has(f.Platform, f.ID, "") {
				continue
			}
			r := accountRow{Brand: f.Brand, Platform: string(f.Platform), Account: f.ID, Handle: f.Handle}
			r.stand(&grants[i], f)
			known.add(f.Platform, f.ID, "")
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(x, y accountRow) int {
		return cmp.Or(cmp.Compare(x.Brand, y.Brand), cmp.Compare(x.Platform, y.Platform), cmp.Compare(x.Handle, y.Handle))
	})
	return out, nil
}

// nextRuns are the next turns of the accounts, by the handle that they are listed by; none where no daemon runs.
func (a *App) nextRuns(ctx context.Context) (map[jauge.Platform]map[string]time.Time, error) {
	out := map[jauge.Platform]map[string]time.Time{}
	if !a.daemon.Load() {
		return out, nil
	}
	status, err := a.workers.schedule.Status(ctx)
	if err != nil {
		return nil, err
	}
	for i := range status {
		s := &status[i]
		if out[s.Platform] == nil {
			out[s.Platform] = map[string]time.Time{}
		}
		out[s.Platform][s.Configured] = s.NextRun
	}
	return out, nil
}

// stand adds how the account's grant is.
func (r *accountRow) stand(g *oauth.Grant, f *oauth.Follow) {
	s := standingOf(g, f)
	r.State, r.Cause, r.Since, r.ExpiresAt = string(s.State), string(s.Cause), s.Since, s.ExpiresAt
	if g == nil {
		return
	}
	r.provider, r.grant, r.avatar, r.paused = g.Provider, g.ID, f.Avatar, f.Paused
	r.Account = cmp.Or(r.Account, f.ID)
	r.Handle = cmp.Or(r.Handle, f.Handle)
	if s.State.Parked() || f.Paused {
		r.NextRun = time.Time{}
	}
}

func accountRowOf(f *jauge.Followed) accountRow {
	r := accountRow{
		Brand: f.Account.Brand, Platform: string(f.Account.Platform), Handle: cmp.Or(f.Account.Handle, f.Configured),
		Account: f.Account.ID, Competitor: f.Account.Competitor, State: string(oauth.StateOK), AccountState: string(f.State),
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

// accountColumns are what is printed of an account; the first eleven are the outer contract.
var accountColumns = []string{
	"brand", "platform", "account", "handle", "state", "since", "cause", "expires_at", "account_state", "last_success", "next_run",
	"competitor", "last_complete", "removed", "failure",
}

func (r *accountRow) cells() []any {
	return []any{
		r.Brand, r.Platform, orNil(r.Account), r.Handle, r.State, whenOrNil(r.Since), orNil(r.Cause), whenOrNil(r.ExpiresAt),
		orNil(r.AccountState), whenOrNil(r.LastSuccess), whenOrNil(r.NextRun), r.Competitor, whenOrNil(r.LastComplete),
		whenOrNil(r.Removed), orNil(r.Failure),
	}
}

func newAccounts(c *cli) *cobra.Command {
	var format *string
	cmd := &cobra.Command{
		Use: "accounts", Short: "List accounts: ids, grants, states, last success, next run", Long: accountsHelp, Args: cobra.NoArgs,
		Example: "  jauge accounts\n  jauge accounts --format json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(*format, formatTable, formatJSON, formatCSV); err != nil {
				return err
			}
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil {
				return err
			}
			rows, err := opAccounts.perform(cmd, c, cfg, struct{}{}, nil)
			if err != nil {
				return err
			}
			p, err := newPrinter(c.stdout, *format, accountColumns)
			if err != nil {
				return err
			}
			for i := range rows {
				if err := p.row(rows[i].cells()); err != nil {
					return err
				}
			}
			return p.end()
		},
	}
	format = formatFlag(cmd, formatTable, formatJSON, formatCSV)
	return cmd
}
