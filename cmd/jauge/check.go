package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/configs"
)

const checkHelp = `Checks the configuration without changing anything: prints every setting (secrets masked) and the accounts, or all mistakes
at once, each with its place and what to do.

With --live it also asks everything that jauge depends on: the store, an external NATS cluster, and each platform, by
looking up every configured handle (on a platform with many accounts, a few of each server).`

// How far a live check goes.
const (
	liveTimeout   = 30 * time.Second // for one question
	livePerServer = 3                // handles of one platform that are looked up before the rest is taken for granted
)

func newCheck(c *cli) *cobra.Command {
	var live, quiet bool
	cmd := &cobra.Command{
		Use: "check", Short: "Check the configuration and, with --live, that everything is reachable", Long: checkHelp,
		Example: "  jauge check --config jauge.yaml\n  jauge check --live", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd, wholeConfig)
			if err != nil {
				return err
			}
			if !quiet {
				if err := c.printSummary(cfg); err != nil {
					return err
				}
			}
			app, err := newApp(cfg, c.logger(cfg, true), c.platforms) // what no file check finds
			if err != nil {
				return &usageError{err.Error()}
			}
			if err := c.printSunsets(app); err != nil {
				return err
			}
			if !live {
				_, err := fmt.Fprintln(c.stdout, "configuration: ok")
				return err
			}
			return c.checkLive(cmd.Context(), app)
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "also ask the store, NATS and every platform")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print the verdict only")
	return cmd
}

func (c *cli) printSummary(cfg *configs.Config) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	for _, s := range cfg.Summary() {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", s.Variable, plain(s.Value, "-")) // a tabwriter keeps its error until Flush
	}
	for _, b := range cfg.File.Brands {
		kind := "brand"
		if b.Competitor {
			kind = "competitor"
		}
		for _, a := range b.Accounts {
			_, _ = fmt.Fprintf(w, "%s %s\t%s %s\n", kind, b.Name, a.Platform, a.Handle)
		}
	}
	for _, warning := range cfg.Warnings {
		_, _ = fmt.Fprintf(w, "warning: %s\n", warning)
	}
	return w.Flush()
}

// printSunsets warns of what ends, of the platforms that are followed or whose client is configured.
func (c *cli) printSunsets(a *App) error {
	used := map[string]collectors.API{}
	for _, acc := range a.cfg.File.Accounts() {
		used[string(acc.Platform)] = a.apis()[string(acc.Platform)]
	}
	for _, p := range a.providers {
		if a.cfg.Apps[p.App].ClientID != "" {
			used[p.Name] = p.API
		}
	}
	for _, w := range collectors.Watch(used, time.Now()) {
		if _, err := fmt.Fprintf(c.stdout, "warning: %s: %s\n", w.Platform, w.Text); err != nil {
			return err
		}
	}
	return nil
}

// checkLive asks each dependency and prints its answer; it fails when one did not answer well.
func (c *cli) checkLive(ctx context.Context, a *App) error {
	var failed int
	ask := func(what string, question func(context.Context) (string, error)) error {
		ctx, cancel := context.WithTimeout(ctx, liveTimeout)
		defer cancel()
		answer, err := question(ctx)
		if err != nil {
			failed++
			answer = "FAILED: " + err.Error()
		}
		_, perr := fmt.Fprintf(c.stdout, "%s: %s\n", what, answer)
		return perr
	}
	err := ask("store "+a.cfg.Store, func(ctx context.Context) (string, error) { return a.askStore(ctx) })
	if err == nil && a.cfg.Journal.URL != "" {
		err = ask("journal NATS", func(ctx context.Context) (string, error) { return a.askNATS(ctx) })
	}
	seen := map[jauge.Platform]int{}
	for _, acc := range a.cfg.File.Accounts() {
		if seen[acc.Platform]++; err != nil || (seen[acc.Platform] > livePerServer && len(a.cfg.File.Accounts()) > maxLookups) {
			continue
		}
		err = ask(fmt.Sprintf("%s %s", acc.Platform, acc.Handle), func(ctx context.Context) (string, error) {
			return a.askPlatform(ctx, acc)
		})
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s failed", plural(failed, "check"))
	}
	_, err = fmt.Fprintln(c.stdout, "everything answers")
	return err
}

const maxLookups = 50 // accounts that are all looked up

// askStore opens the store as the daemon would and pings it. The SQLite file belongs to the data directory: it is only
// looked at where it exists.
func (a *App) askStore(ctx context.Context) (string, error) {
	if a.cfg.Store == configs.StoreSQLite {
		s, err := openToRead(ctx, a.cfg, a.log)
		if _, missing := errors.AsType[*noStoreError](err); missing {
			return "ok, is made at the first start", nil
		}
		if err != nil {
			return "", err
		}
		return "ok", errors.Join(s.Ping(ctx), s.Close())
	}
	err := a.store.Ping(ctx)
	return "ok", errors.Join(err, a.store.Close())
}

// askNATS opens the journal, which is not ours alone: a cluster is shared.
func (a *App) askNATS(ctx context.Context) (string, error) {
	if err := a.journal.Open(ctx); err != nil {
		return "", err
	}
	return "ok", errors.Join(a.journal.Health(), a.journal.Close(ctx))
}

func (a *App) askPlatform(ctx context.Context, acc configs.Account) (string, error) {
	for _, p := range a.platforms {
		if p.Name != acc.Platform {
			continue
		}
		found, err := p.New(a.cfg.BaseURL[p.Name]).Resolve(ctx, a.clients[p.Name], acc.Handle)
		if err != nil {
			return "", err
		}
		return "ok, " + found.ID, nil
	}
	return "", fmt.Errorf("platform %s is unknown", acc.Platform)
}
