package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
)

// Config is what the pipeline can be told.
type Config struct {
	// CacheBytes bounds what is kept in memory of accounts, roughly; the cache may be dropped at any moment without
	// changing a figure.
	CacheBytes int `env:"CACHE_BYTES, default=8388608"`
	// BatchPages bounds how many pages are taken from the journal at once.
	BatchPages int `env:"BATCH_PAGES, default=256"`

	Mappings         map[jauge.Platform]jauge.Mapping            // what the wire names mean
	HistoryRetention time.Duration                               // how long single readings are kept
	LadderEnd        time.Duration                               // age at which a post is re-read no more
	KPIs             []jauge.KPI                                 // nil is the default catalogue
	Weights          map[jauge.Platform]map[jauge.Metric]float64 // of weighted_engagement_rate, over the defaults
	Bases            map[jauge.Platform]jauge.Metric             // overrides of Mapping.Basis
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Mappings) == 0 {
		errs = append(errs, errors.New("no platform has a mapping"))
	}
	if c.HistoryRetention <= 0 {
		errs = append(errs, fmt.Errorf("history retention %v must be above 0", c.HistoryRetention))
	}
	if c.LadderEnd <= 0 {
		errs = append(errs, fmt.Errorf("re-read ladder %v must be above 0", c.LadderEnd))
	}
	if c.CacheBytes < 0 || c.BatchPages < 0 {
		errs = append(errs, errors.New("cache and batch sizes must not be below 0"))
	}
	return errors.Join(errs...)
}

// Deps is what the pipeline works with. Log and Registerer may be nil.
type Deps struct {
	Store      Store
	Directory  Directory
	Log        *slog.Logger
	Registerer prometheus.Registerer
}
