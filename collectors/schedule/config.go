package schedule

import (
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"jauge.dev/jauge"
)

// Config holds what an operator may set of the scheduler.
type Config struct {
	// Every overrides a platform's cron spec of the refresh task, in UTC: "@every 30m", "0 */2 * * *". It comes from
	// the configuration file.
	Every map[jauge.Platform]string
	// Parallel is how many groups of accounts of one platform are read at once.
	Parallel int `env:"PARALLEL, default=4"`
	// Depth is how far back the first complete reading of an account lists its posts.
	Depth time.Duration `env:"DEPTH, default=2160h"`
	// Overlap is how far listing goes past the newest post of the last complete reading: platforms index some posts
	// late.
	Overlap time.Duration `env:"OVERLAP, default=10m"`
	// CatchUp bounds the time over which runs that were missed while jauge was down are spread.
	CatchUp time.Duration `env:"CATCH_UP, default=10m"`
	// Retries is how often a failed run is tried again before the account's next regular run.
	Retries int `env:"RETRIES, default=3"`
	// RetryAfter is the wait before the first such retry; each further one waits four times as long.
	RetryAfter time.Duration `env:"RETRY_AFTER, default=30s"`
	// Recheck is how often a resolved handle is resolved again, to notice that it leads elsewhere.
	Recheck time.Duration `env:"RECHECK, default=24h"`
	// BackfillPages is how many listing pages a backfill reads of an account before other runs get their turn.
	BackfillPages int `env:"BACKFILL_PAGES, default=10"`
	// Grace is how long running groups may go on after shutdown began.
	Grace time.Duration `env:"GRACE, default=5s"`
	// AccountMetrics is the number of accounts above which /metrics has no series per account; 0 for never any.
	AccountMetrics int `env:"ACCOUNT_METRICS, default=1000"`
	// Ladder is the re-read ladder; empty for the default one.
	Ladder Ladder
}

// Default returns the configuration that an empty environment gives.
func Default() Config {
	return Config{
		Parallel: 4, Depth: LadderEnd, Overlap: 10 * time.Minute, CatchUp: 10 * time.Minute, Retries: 3,
		RetryAfter: 30 * time.Second, Recheck: 24 * time.Hour, BackfillPages: 10, Grace: 5 * time.Second,
		AccountMetrics: 1000,
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, s := range []struct {
		name string
		n    int
		min  int
	}{
		{"PARALLEL", c.Parallel, 1}, {"RETRIES", c.Retries, 0}, {"BACKFILL_PAGES", c.BackfillPages, 1},
		{"ACCOUNT_METRICS", c.AccountMetrics, 0},
	} {
		if s.n < s.min {
			errs = append(errs, fmt.Errorf("%s is %d: set at least %d", s.name, s.n, s.min))
		}
	}
	for _, s := range []struct {
		name string
		d    time.Duration
		min  time.Duration
	}{
		{"DEPTH", c.Depth, time.Hour}, {"OVERLAP", c.Overlap, 0}, {"CATCH_UP", c.CatchUp, 0},
		{"RETRY_AFTER", c.RetryAfter, time.Second}, {"RECHECK", c.Recheck, time.Minute}, {"GRACE", c.Grace, 0},
	} {
		if s.d < s.min {
			errs = append(errs, fmt.Errorf("%s is %s: set at least %s", s.name, s.d, s.min))
		}
	}
	for p, spec := range c.Every {
		if _, err := parseSpec(spec); err != nil {
			errs = append(errs, fmt.Errorf("schedule of %s: %w", p, err))
		}
	}
	for i, r := range c.Ladder {
		if r.Every < time.Minute || i > 0 && r.Younger <= c.Ladder[i-1].Younger {
			errs = append(errs, fmt.Errorf("rung %d of the ladder is out of order or more often than once a minute", i))
		}
	}
	return errors.Join(errs...)
}

func parseSpec(spec string) (cron.Schedule, error) {
	s, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(spec)
	if err != nil {
		return nil, fmt.Errorf("%q is no cron spec: write it like \"@every 15m\" or \"0 */2 * * *\": %w", spec, err)
	}
	if d, ok := s.(cron.ConstantDelaySchedule); ok && d.Delay < time.Minute {
		return nil, fmt.Errorf("%q is too often: at most once a minute", spec)
	}
	return s, nil
}
