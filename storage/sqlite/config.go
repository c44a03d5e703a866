package sqlite

import (
	"errors"
	"fmt"
	"time"
)

// Config says where the rows are and how long history rows stay.
type Config struct {
	// Path is the database file; its directory must exist. An empty one is to be filled by the caller, from the data
	// directory.
	Path string `env:"PATH"`
	// HistoryRetention is how long rows of the history measurements are kept.
	HistoryRetention time.Duration `env:"HISTORY_RETENTION, default=2160h"`
	// BusyTimeout is how long a call waits for another process that is writing.
	BusyTimeout time.Duration `env:"BUSY_TIMEOUT, default=10s"`
	// CacheKiB bounds the page cache of the writing connection; each reading one has a quarter of it.
	CacheKiB int `env:"CACHE_KIB, default=6144"`
}

const (
	defaultRetention = 90 * 24 * time.Hour
	defaultBusy      = 10 * time.Second
	defaultCacheKiB  = 6144
	leastRetention   = 24 * time.Hour
)

// withDefaults fills what a caller left at zero, so that a Config{Path: …} works.
func (c Config) withDefaults() Config {
	if c.HistoryRetention == 0 {
		c.HistoryRetention = defaultRetention
	}
	if c.BusyTimeout == 0 {
		c.BusyTimeout = defaultBusy
	}
	if c.CacheKiB == 0 {
		c.CacheKiB = defaultCacheKiB
	}
	return c
}

// Validate names everything that is wrong. Zero values mean the defaults, save for Path.
func (c Config) Validate() error {
	var errs []error
	c = c.withDefaults()
	if c.Path == "" {
		errs = append(errs, errors.New("PATH: the database file is not named"))
	}
	if c.HistoryRetention < leastRetention {
		errs = append(errs, fmt.Errorf("HISTORY_RETENTION: %s is shorter than a day: give at least 24h", c.HistoryRetention))
	}
	if c.BusyTimeout < 0 {
		errs = append(errs, fmt.Errorf("BUSY_TIMEOUT: %s is negative", c.BusyTimeout))
	}
	if c.CacheKiB < 0 {
		errs = append(errs, fmt.Errorf("CACHE_KIB: %d is negative", c.CacheKiB))
	}
	return errors.Join(errs...)
}
