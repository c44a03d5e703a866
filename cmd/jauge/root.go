package main

import (
	"github.com/spf13/cobra"
)

const rootHelp = `jauge measures social-media accounts. It reads what platforms say of accounts and posts, keeps every figure, turns
running totals into daily activity and computes KPIs, per account, per platform and per brand.

Settings come from the environment (JAUGE_…, see "jauge docs config") or from flags, which beat it and may stand after
the subcommand; brands, accounts, KPIs and schedules come from a YAML file.

  platform API -> collectors -> journal (on disk) -> pipeline -> store (SQLite or InfluxDB) -> jauge kpi, Grafana

Exit codes: 0 done, 1 something failed, 2 wrong usage or configuration.`

const rootExample = `  jauge check --config jauge.yaml                # is the configuration right?
  jauge check --live                             # ... and is everything reachable?
  jauge collect --once                           # read every account once, print what was found
  jauge kpi --window 7d --brand acme             # the newest KPIs of a brand
  jauge run                                      # the daemon: reads on schedule until stopped`

// newRoot makes the tree of commands.
func newRoot(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use: "jauge", Short: "Figures and KPIs of social-media accounts", Long: rootHelp, Example: rootExample,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun:  func(*cobra.Command, []string) { c.started = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	for _, s := range settingFlags {
		root.PersistentFlags().String(s.flag, "", s.help)
	}
	root.AddCommand(
		newRun(c), newCheck(c), newCollect(c), newBackfill(c), newAccounts(c), newKPI(c), newQuery(c), newReplay(c),
		newDeadLetter(c), newConnect(c), newDisconnect(c), newVault(c), newHashPassword(c), newHealth(c), newVersion(c), newDocs(c),
	)
	for _, cmd := range root.Commands() {
		requireSubcommand(cmd)
	}
	return root
}

// requireSubcommand makes a command that only groups others refuse to be called by itself or with an unknown name.
func requireSubcommand(cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		return
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("%q is no command of %q: see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
		}
		return usagef("%s needs one of its commands: see %s --help", cmd.CommandPath(), cmd.CommandPath())
	}
}
