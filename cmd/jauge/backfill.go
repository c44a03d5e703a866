package main

import (
	"time"

	"github.com/spf13/cobra"
)

const backfillHelp = `Lists older posts of every account, back to a date. It gives the posts with the counters that they bear today, and how many
were published on each day; it does not give past daily activity, since no platform tells what a post gained on a day
gone by. It goes on where an earlier backfill stopped, and posts older than the re-read ladder are read this once.`

func newBackfill(c *cli) *cobra.Command {
	var req collectRequest
	var since string
	cmd := &cobra.Command{
		Use: "backfill --since DATE", Short: "Read older posts, back to a date", Long: backfillHelp, Args: cobra.NoArgs,
		Example: "  jauge backfill --since 2026-01-01\n  jauge backfill --since 2025-01-01 --platform mastodon --account @acme@mastodon.example",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if since == "" {
				return usagef("--since is missing: give the date to go back to, such as --since 2026-01-01")
			}
			if req.Since, _, err = parseWhen("--since", since, time.Now()); err != nil {
				return err
			}
			if !req.Since.Before(time.Now()) {
				return usagef("--since %s lies in the future: give a date in the past", since)
			}
			return c.collect(cmd, req, "going back")
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "how far to go back: date, instant or stretch back from now")
	collectFlags(cmd, &req)
	return cmd
}
