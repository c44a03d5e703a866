package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/configs"
)

// Exit codes, part of the outer contract.
const (
	exitDone   = 0
	exitFailed = 1 // something failed
	exitUsage  = 2 // wrong usage or configuration
)

// cli is one invocation of the program.
type cli struct {
	environ        []string
	stdout, stderr io.Writer
	platforms      []collectors.Platform

	root    *cobra.Command
	started bool // the command's own code runs: from here on an error is no wrong usage
}

// run is the whole program: it returns the exit code.
func run(args, environ []string, stdout, stderr io.Writer) int {
	ctx, stop := softStop(context.Background(), stderr)
	defer stop()
	c := &cli{environ: environ, stdout: stdout, stderr: stderr, platforms: platforms()}
	c.root = newRoot(c)
	c.root.SetArgs(args)
	c.root.SetOut(stdout)
	c.root.SetErr(stderr)
	err := c.root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if _, ok := errors.AsType[*quietError](err); !ok {
		_, _ = fmt.Fprintf(stderr, "jauge: %s\n", sentence(err))
	}
	return c.code(err)
}

// code tells wrong usage and configuration from what failed.
func (c *cli) code(err error) int {
	if _, ok := errors.AsType[configs.Mistakes](err); ok || !c.started {
		return exitUsage
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// sentence writes an error for an operator: mistakes stand one below the other.
func sentence(err error) string {
	if ms, ok := errors.AsType[configs.Mistakes](err); ok {
		return fmt.Sprintf("the configuration has %s:\n%s", plural(len(ms), "mistake"), ms.Error())
	}
	return err.Error()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// usageError is a mistake in the command line that only the command itself could find.
type usageError struct{ text string }

// Error returns what is wrong and what to write.
func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// quietError fails the command without a sentence of its own: everything has been said already.
type quietError struct{ cause error }

// Error returns the cause's text, for logs.
func (e *quietError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *quietError) Unwrap() error { return e.cause }

// errStopped is the cause of a context that a signal ended.
var errStopped = errors.New("stopped by a signal")

// stopBound is how long the process may take to end after the first signal; containers are given 30 s.
const stopBound = 20 * time.Second

// softStop ends the context at the first SIGINT or SIGTERM; the second ends the process at once, and so does the bound.
func softStop(parent context.Context, stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2) //nolint:mnd // the soft one and the hard one
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(errStopped)
		case <-done:
			return
		}
		bound := time.NewTimer(stopBound)
		defer bound.Stop()
		why := "by a second signal"
		select {
		case <-signals:
		case <-bound.C:
			why = "since it took longer than " + stopBound.String()
		case <-done:
			return
		}
		_, _ = fmt.Fprintln(stderr, "jauge: stopped at once "+why+"; what was acknowledged is on disk")
		os.Exit(exitFailed)
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// settingFlags are the flags that stand for a setting; every command takes them.
var settingFlags = []struct{ flag, variable, help string }{
	{"config", "JAUGE_CONFIG", "YAML file with brands, accounts, KPIs and schedules (default jauge.yaml)"},
	{"data-dir", "JAUGE_DATA_DIR", "directory for all that is kept on disk (default ./data)"},
	{"listen", "JAUGE_LISTEN", "address of /metrics, /healthz and /readyz (default 127.0.0.1:8080)"},
	{"store", "JAUGE_STORE", "where figures go: sqlite or influx (default sqlite)"},
	{"log-level", "JAUGE_LOG_LEVEL", "debug, info, warn or error (default info; warn where a command only runs once)"},
	{"log-format", "JAUGE_LOG_FORMAT", "json or text (default: text on a terminal, else json)"},
	{"contact", "JAUGE_CONTACT", "mail or web address by which platforms reach you; it is part of the User-Agent"},
}

// given collects the setting flags of the command line.
func given(flags *pflag.FlagSet) map[string]configs.Flag {
	m := map[string]configs.Flag{}
	for _, s := range settingFlags {
		if f := flags.Lookup(s.flag); f != nil && f.Changed {
			m[s.variable] = configs.Flag{Name: s.flag, Value: f.Value.String()}
		}
	}
	return m
}

// need says which part of the configuration a command cannot do without.
type need bool

const (
	settingsOnly need = false // the YAML file is read if it is there
	wholeConfig  need = true
)

// load reads the configuration as the command line, the environment and the file give it.
func (c *cli) load(cmd *cobra.Command, n need) (*configs.Config, error) {
	cfg, err := configs.Load(cmd.Context(), configs.Source{
		Environ: c.environ, Flags: given(cmd.Flags()), ReadFile: os.ReadFile, Platforms: c.platforms,
		Providers: allProviders(),
		NeedFile:  bool(n), CheckKPI: checkKPI,
	})
	if err != nil {
		return cfg, err
	}
	return cfg, nil
}

// logger writes the log to stderr. quiet raises the default level for commands whose own output is what counts.
func (c *cli) logger(cfg *configs.Config, quiet bool) *slog.Logger {
	level := cfg.LogLevel()
	if quiet && !cfg.IsSet("JAUGE_LOG_LEVEL") {
		level = slog.LevelWarn
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "text" || (cfg.Log.Format == "auto" && isTerminal(c.stderr)) {
		return slog.New(slog.NewTextHandler(c.stderr, opts))
	}
	return slog.New(slog.NewJSONHandler(c.stderr, opts))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
