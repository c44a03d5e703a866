package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const deadLetterHelp = `A dead letter is a page that could not be normalised, or rows that the store will never take. Nothing is lost: the page
stays in the journal with the reason, until it is replayed. The figures of its run are not marked as a complete reading
until then.`

// deadLetter is a dead letter as it is shown.
type deadLetter struct {
	ID       string    `json:"id"`
	Platform string    `json:"platform"`
	Account  string    `json:"account"`
	Run      string    `json:"run"`
	At       time.Time `json:"at"`
	Bytes    int       `json:"bytes"`
	Reason   string    `json:"reason"`
}

var opDeadLetters = operation[struct{}, struct{}, []deadLetter]{
	name: "deadletters", parts: partJournal,
	do: func(ctx context.Context, a *App, _ struct{}, _ func(struct{})) ([]deadLetter, error) {
		letters, err := a.journal.DeadLetters(ctx)
		if err != nil {
			return nil, err
		}
		out := make([]deadLetter, len(letters))
		for i, l := range letters {
			out[i] = deadLetter{l.ID, string(l.Platform), l.Account, l.Run, l.At, l.Size, l.Reason}
		}
		return out, nil
	},
}

// replayRequest asks for dead letters by id, all where none is named.
type replayRequest struct {
	IDs  []string      `json:"ids"`
	Wait time.Duration `json:"wait"`
}

var opReplayDead = operation[replayRequest, progress, int]{
	name: "deadletters-replay", parts: partWork,
	do: func(ctx context.Context, a *App, req replayRequest, tell func(progress)) (int, error) {
		n, err := a.journal.ReplayDead(ctx, req.IDs...)
		if err != nil {
			return n, err
		}
		return n, a.settled(ctx, req.Wait, tell)
	},
}

var opDiscardDead = operation[replayRequest, struct{}, int]{
	name: "deadletters-discard", parts: partJournal,
	do: func(ctx context.Context, a *App, req replayRequest, _ func(struct{})) (int, error) {
		return a.journal.DiscardDead(ctx, req.IDs...)
	},
}

func newDeadLetter(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "deadletter", Short: "List, replay or discard what could not be normalised", Long: deadLetterHelp,
		Example: "  jauge deadletter list\n  jauge deadletter replay --all",
	}
	cmd.AddCommand(newDeadLetterList(c), newDeadLetterReplay(c), newDeadLetterDiscard(c))
	return cmd
}

func newDeadLetterList(c *cli) *cobra.Command {
	var format *string
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, oldest first", Long: deadLetterHelp, Args: cobra.NoArgs,
		Example: "  jauge deadletter list\n  jauge deadletter list --format json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(*format, formatTable, formatJSON, formatCSV); err != nil {
				return err
			}
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil {
				return err
			}
			letters, err := opDeadLetters.perform(cmd, c, cfg, struct{}{}, nil)
			if err != nil {
				return err
			}
			p, err := newPrinter(c.stdout, *format, []string{"id", "platform", "account", "run", "at", "bytes", "reason"})
			if err != nil {
				return err
			}
			for _, l := range letters {
				at := l.At.Format(time.RFC3339)
				if err := p.row([]any{l.ID, l.Platform, l.Account, l.Run, at, l.Bytes, l.Reason}); err != nil {
					return err
				}
			}
			return p.end()
		},
	}
	format = formatFlag(cmd, formatTable, formatJSON, formatCSV)
	return cmd
}

func newDeadLetterReplay(c *cli) *cobra.Command {
	var all bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "replay [ID ...]", Short: "Process dead letters again, after the cause was mended",
		Long:    deadLetterHelp + "\n\nReplaying is safe to repeat. A letter that still cannot be normalised comes back to the list.",
		Example: "  jauge deadletter replay MFRGGZDF\n  jauge deadletter replay --all",
		RunE: func(cmd *cobra.Command, ids []string) error {
			if all == (len(ids) > 0) {
				return usagef("name the letters to replay, or give --all: see jauge deadletter list")
			}
			cfg, err := c.load(cmd, wholeConfig)
			if err != nil {
				return err
			}
			bar := c.newBar("replaying")
			n, err := opReplayDead.perform(cmd, c, cfg, replayRequest{ids, wait}, bar.tell)
			bar.clear()
			_, perr := fmt.Fprintf(c.stdout, "replayed %s\n", plural(n, "letter"))
			return errors.Join(err, perr)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "replay all dead letters")
	waitFlag(cmd, &wait)
	return cmd
}

func newDeadLetterDiscard(c *cli) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "discard ID ...", Short: "Give up dead letters for good",
		Long: "Removes dead letters that nothing will mend: a page that a platform sent broken, say. What they held is lost, and the\n" +
			"run that a page belongs to never counts as a complete reading. Only letters that are named, and only with --yes.",
		Example: "  jauge deadletter discard MFRGGZDF --yes",
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch {
			case len(ids) == 0:
				return usagef("name the letters to discard: see jauge deadletter list")
			case !yes:
				return usagef("what %s %s is lost for good by this: if that is meant, give --yes", plural(len(ids), "letter"), holds(len(ids)))
			}
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil {
				return err
			}
			n, err := opDiscardDead.perform(cmd, c, cfg, replayRequest{IDs: ids}, nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "discarded %s\n", plural(n, "letter"))
			return err
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "discard them for good")
	return cmd
}

func holds(n int) string {
	if n == 1 {
		return "holds"
	}
	return "hold"
}
