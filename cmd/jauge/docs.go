package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"jauge.dev/jauge/configs"
)

// newDocs prints what is generated from the code.
func newDocs(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "docs", Short: "Print reference tables made from the code",
		Example: "  jauge docs config\n  jauge docs metrics",
	}
	print := func(use, short string, text func() string) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Long: short + ", as a Markdown table.", Example: "  jauge docs " + use, Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprint(c.stdout, text())
				return err
			},
		}
	}
	cmd.AddCommand(
		print("config", "Print every variable with its default and meaning", configs.VariablesTable),
		print("metrics", "Print which platform gives which metric, under which name", c.metricsTable),
	)
	return cmd
}
