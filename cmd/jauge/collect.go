package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/configs"
)

const collectHelp = `Reads every configured account once, now: its gauges, its new posts, and every known post that is young enough to be read
again. It ends when all that was read, and the KPIs that follow from it, are in the store. Beside a running daemon the
daemon does it; else this process does.

When some accounts fail the rest is stored all the same: the table names what failed and why, and the exit code is 1.`

const collectExample = `  jauge collect --once
  jauge collect --once --platform bluesky
  jauge collect --once --account acme.example --format json`

// collectRequest chooses accounts. Since is set for a backfill.
type collectRequest struct {
	Platform string        `json:"platform"`
	Account  string        `json:"account"`
	Since    time.Time     `json:"since,omitzero"`
	Wait     time.Duration `json:"wait"`
}

// collected is what became of one account.
type collected struct {
	Brand    string        `json:"brand"`
	Platform string        `json:"platform"`
	Handle   string        `json:"handle"`
	Account  string        `json:"account"`
	State    string        `json:"state"`
	Posts    int           `json:"posts"`
	New      int           `json:"new"`
	Deleted  int           `json:"deleted"`
	Complete bool          `json:"complete"`
	Took     time.Duration `json:"took"`
	Reason   string        `json:"reason"`
	Error    string        `json:"error"`
}

func collectedOf(s *schedule.AccountSummary) collected {
	c := collected{
		Brand: s.Brand, Platform: string(s.Platform), Handle: s.Handle, Account: s.ID, State: string(s.State),
		Posts: s.Posts, New: s.New, Deleted: s.Deleted, Complete: s.Complete, Took: s.Duration,
	}
	if s.Err != nil {
		c.Reason, c.Error = string(s.Reason), s.Err.Error()
	}
	return c
}

var opCollect = operation[collectRequest, progress, []collected]{
	name: "collect", parts: partWork,
	do: func(ctx context.Context, a *App, req collectRequest, tell func(progress)) ([]collected, error) {
		return a.collect(ctx, req, tell)
	},
}

// collect reads accounts and waits until what was read is in the store.
func (a *App) collect(ctx context.Context, req collectRequest, tell func(progress)) ([]collected, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	f := schedule.Filter{Platform: jauge.Platform(req.Platform), Account: req.Account}
	ended := 0
	event := func(e schedule.Event) {
		if e.Kind == schedule.EventEnded {
			ended++
		}
		tell(progress{What: "accounts read", Done: ended, At: fmt.Sprintf("%s %s: %s", e.Account.Platform, e.Account.Handle, plural(e.Account.Posts, "post"))})
	}
	var sum schedule.Summary
	var err error
	if req.Since.IsZero() {
		sum, err = a.workers.schedule.RunOnce(ctx, f, event)
	} else {
		sum, err = a.workers.schedule.Backfill(ctx, req.Since, f, event)
	}
	out := make([]collected, len(sum.Accounts))
	for i := range sum.Accounts {
		out[i] = collectedOf(&sum.Accounts[i])
	}
	if err != nil {
		return out, err
	}
	return out, a.settled(ctx, req.Wait, tell)
}

func newCollect(c *cli) *cobra.Command {
	var req collectRequest
	var once bool
	cmd := &cobra.Command{
		Use: "collect --once", Short: "Read every account once and store what follows", Long: collectHelp, Example: collectExample,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !once {
				return usagef("collect reads once: give --once; to read on schedule use jauge run")
			}
			return c.collect(cmd, req, "collecting")
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "read every account once and end")
	collectFlags(cmd, &req)
	return cmd
}

func collectFlags(cmd *cobra.Command, req *collectRequest) {
	cmd.Flags().StringVar(&req.Platform, "platform", "", "only accounts of this platform")
	cmd.Flags().StringVar(&req.Account, "account", "", "only this account: its handle or its id")
	waitFlag(cmd, &req.Wait)
	formatFlag(cmd, formatTable, formatJSON, formatCSV)
}

// collect does collect --once and backfill: both print what became of every account.
func (c *cli) collect(cmd *cobra.Command, req collectRequest, verb string) error {
	format := cmd.Flag("format").Value.String()
	if err := errors.Join(checkFormat(format, formatTable, formatJSON, formatCSV), c.knownPlatform(req.Platform)); err != nil {
		return err
	}
	cfg, err := c.load(cmd, settingsOnly) // accounts may all be connected ones
	if err != nil {
		return err
	}
	bar := c.newBar(verb)
	bar.total = countAccounts(cfg, req)
	accounts, err := opCollect.perform(cmd, c, cfg, req, bar.tell)
	bar.clear()
	if errors.Is(err, schedule.ErrNoAccounts) {
		return &usageError{err.Error()}
	}
	if len(accounts) > 0 || err == nil {
		if perr := c.printCollected(format, accounts); perr != nil {
			return errors.Join(err, perr)
		}
	}
	if err != nil {
		return err
	}
	return failedOf(accounts)
}

func countAccounts(cfg *configs.Config, req collectRequest) int {
	n := 0
	for _, a := range cfg.File.Accounts() {
		if (req.Platform == "" || req.Platform == string(a.Platform)) && req.Account == "" {
			n++
		}
	}
	return n
}

func (c *cli) printCollected(format string, accounts []collected) error {
	p, err := newPrinter(c.stdout, format, []string{
		"brand", "platform", "handle", "posts", "new", "deleted", "complete", "took", "error",
	})
	if err != nil {
		return err
	}
	for i := range accounts {
		a := &accounts[i]
		var took, failure any = a.Took.Round(time.Millisecond).String(), nil
		if format == formatJSON {
			took = a.Took.Seconds()
		}
		if a.Error != "" {
			failure = a.Error
		}
		if err := p.row([]any{a.Brand, a.Platform, a.Handle, a.Posts, a.New, a.Deleted, a.Complete, took, failure}); err != nil {
			return err
		}
	}
	return p.end()
}

// failedOf names every account that failed, with the reason.
func failedOf(accounts []collected) error {
	var lines []string
	for i := range accounts {
		if a := &accounts[i]; a.Error != "" {
			lines = append(lines, fmt.Sprintf("  %s %s: %s", a.Platform, a.Handle, a.Error))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("%s of %d failed, what the others gave is stored:\n%s",
		plural(len(lines), "account"), len(accounts), strings.Join(lines, "\n"))
}

// knownPlatform refuses a platform that jauge does not read; none is fine.
func (c *cli) knownPlatform(name string) error {
	if name == "" || slices.Contains(c.platformNames(), name) {
		return nil
	}
	return usagef("--platform %q is unknown: choose one of %s", name, strings.Join(c.platformNames(), ", "))
}
