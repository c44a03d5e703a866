package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"jauge.dev/jauge"
)

// build is what the toolchain wrote into the binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Time     string `json:"time"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Schema   int    `json:"schema"`
}

func readBuild() build {
	b := build{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Schema: jauge.SchemaVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		b.Version = "unknown"
		return b
	}
	b.Version = cmp.Or(info.Main.Version, "(devel)")
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// registerBuild exports the build as a metric that is always 1.
func registerBuild(reg prometheus.Registerer) error {
	b := readBuild()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "jauge_build_info", Help: "The build of jauge that runs; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	g.Set(1)
	if err := reg.Register(g); err != nil {
		return fmt.Errorf("register the build metric: %w", err)
	}
	return nil
}

func newVersion(c *cli) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "version", Short: "Print version, revision and schema", Args: cobra.NoArgs,
		Long:    "Prints what this binary was built from, and the version of the stored shape that it writes.",
		Example: "  jauge version\n  jauge version --format json",
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			switch format {
			case "json":
				enc := json.NewEncoder(c.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(b)
			case "text":
			default:
				return usagef("--format %q is unknown: choose text or json", format)
			}
			dirty := ""
			if b.Modified {
				dirty = " (modified)"
			}
			_, err := fmt.Fprintf(c.stdout, "jauge %s\nrevision %s%s\nbuilt with %s for %s\nschema %d\n",
				b.Version, cmp.Or(b.Revision, "unknown"), dirty, b.Go, b.Platform, b.Schema)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
