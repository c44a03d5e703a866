package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline/journal"
)

const replayHelp = `Processes again what was read before, from the journal's archive: after a mapping was mended, or to fill a store that was
lost. The archive is bounded by age and size (JAUGE_JOURNAL_ARCHIVE_MAX_AGE, …_MAX_BYTES). Replaying is safe to repeat:
an old reading never overwrites a newer one.

` + spanHelp

const replayExample = `  jauge replay --from 7d
  jauge replay --platform mastodon --from 2026-11-01 --to 2026-11-07
  jauge replay --platform bluesky --account did:plc:z72i7hdynmk6r22z27h6tvur`

// archiveRequest asks for a range of the archive.
type archiveRequest struct {
	Platform string        `json:"platform"`
	Account  string        `json:"account"`
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Wait     time.Duration `json:"wait"`
}

var opReplay = operation[archiveRequest, progress, int]{
	name: "replay", parts: partWork,
	do: func(ctx context.Context, a *App, req archiveRequest, tell func(progress)) (int, error) {
		r := journal.Range{Platform: jauge.Platform(req.Platform), Account: req.Account, From: req.From, To: req.To}
		n, err := a.journal.Replay(ctx, r, func(n int) { tell(progress{What: "pages put back", Done: n}) })
		if err != nil {
			return n, err
		}
		return n, a.settled(ctx, req.Wait, tell)
	},
}

func newReplay(c *cli) *cobra.Command {
	var req archiveRequest
	var s span
	cmd := &cobra.Command{
		Use: "replay", Short: "Process again what was read before, from the archive", Long: replayHelp, Example: replayExample,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if req.From, req.To, err = s.parse(time.Now().UTC()); err != nil {
				return err
			}
			if req.Account != "" && req.Platform == "" {
				return usagef("--account needs --platform: ids are unique within a platform")
			}
			if err := c.knownPlatform(req.Platform); err != nil {
				return err
			}
			cfg, err := c.load(cmd, wholeConfig)
			if err != nil {
				return err
			}
			bar := c.newBar("replaying")
			n, err := opReplay.perform(cmd, c, cfg, req, bar.tell)
			bar.clear()
			_, perr := fmt.Fprintf(c.stdout, "replayed %s\n", plural(n, "page"))
			return errors.Join(err, perr)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&req.Platform, "platform", "", "only this platform")
	cmd.Flags().StringVar(&req.Account, "account", "", "only this account, by its id (see jauge accounts)")
	waitFlag(cmd, &req.Wait)
	return cmd
}

const defaultWait = 5 * time.Minute

// waitFlag bounds how long a command waits for the store.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", defaultWait, "how long to wait for the store to take everything, without any progress")
}
