package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const healthHelp = `Asks a running daemon of this configuration whether it is well, for a container's health check: the image holds no other
program that could. Without --ready it asks whether the process answers, which is what a restart can mend; with --ready
whether every part works.`

const healthTimeout = 5 * time.Second

func newHealth(c *cli) *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use: "health", Short: "Ask the running daemon whether it is well", Long: healthHelp, Args: cobra.NoArgs,
		Example: "  jauge health\n  jauge health --ready",
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A mistake in the file is no matter of a daemon's that runs on with the file that it read.
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil && (cfg == nil || cfg.Listen == "") {
				return err
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return c.askHealth(cmd.Context(), "http://"+nearby(cmp.Or(cfg.OpsListen, cfg.Listen))+path)
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask every part, not the process alone")
	return cmd
}

func (c *cli) askHealth(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	t := &http.Transport{DisableKeepAlives: true} // never through a proxy
	resp, err := t.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", address, resp.StatusCode, strings.TrimSpace(string(body)))
	}
	_, err = fmt.Fprintln(c.stdout, strings.TrimSpace(string(body)))
	return err
}

const maxHealth = 64 << 10

// nearby is an address to reach a listener from this machine.
func nearby(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
