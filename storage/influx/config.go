package influx

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// Config says which server, with which right, and how it is written to.
type Config struct {
	// URL is the server's address: http://influx.example:8086.
	URL string `env:"URL"`
	// Token may read and write both buckets; to make them where they are missing it must be allowed to as well.
	Token jauge.Secret `env:"TOKEN"`
	// Org is the organisation's name.
	Org string `env:"ORG"`
	// Bucket holds everything but the history, which is in a bucket of the same name with _history at its end.
	Bucket string `env:"BUCKET"`
	// HistoryRetention is how long the history bucket keeps rows.
	HistoryRetention time.Duration `env:"HISTORY_RETENTION, default=2160h"`
	// BatchRows is how many rows one request carries at most.
	BatchRows int `env:"BATCH_ROWS, default=5000"`
	// Concurrency is how many requests one Write or Delete makes at once.
	Concurrency int `env:"CONCURRENCY, default=2"`
	// Timeout bounds a request that writes, deletes or asks something small.
	Timeout time.Duration `env:"TIMEOUT, default=30s"`
	// ReadTimeout bounds a read from its first to its last row.
	ReadTimeout time.Duration `env:"READ_TIMEOUT, default=10m"`
}

const (
	historySuffix = "_history"

	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

// withDefaults fills what a caller left at zero.
func (c Config) withDefaults() Config {
	if c.HistoryRetention == 0 {
		c.HistoryRetention = 90 * day
	}
	if c.BatchRows == 0 {
		c.BatchRows = 5000
	}
	if c.Concurrency == 0 {
		c.Concurrency = 2
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 10 * time.Minute
	}
	return c
}

// Validate names everything that is wrong. Zero values of the numbers mean the defaults.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c = c.withDefaults()
	if err := checkURL(c.URL); err != nil {
		wrong("URL: %w", err)
	}
	if c.Token == "" {
		wrong("TOKEN: no token is given")
	}
	if c.Org == "" {
		wrong("ORG: the organisation is not named")
	}
	switch {
	case c.Bucket == "":
		wrong("BUCKET: the bucket is not named")
	case strings.HasPrefix(c.Bucket, "_"), strings.ContainsAny(c.Bucket, "\"/\n"):
		wrong("BUCKET: %q is no name that InfluxDB takes: begin with a letter, use no quote, slash or line break", c.Bucket)
	}
	if c.HistoryRetention < day {
		wrong("HISTORY_RETENTION: %s is shorter than a day: give at least 24h", c.HistoryRetention)
	}
	if c.BatchRows < 1 {
		wrong("BATCH_ROWS: %d is no number of rows: give 1 or more, 5000 is good", c.BatchRows)
	}
	if c.Concurrency < 1 || c.Concurrency > 64 {
		wrong("CONCURRENCY: %d is not between 1 and 64", c.Concurrency)
	}
	if c.Timeout < 0 || c.ReadTimeout < 0 {
		wrong("TIMEOUT, READ_TIMEOUT: a negative duration bounds nothing")
	}
	return errors.Join(errs...)
}

// checkURL refuses what is no address of a server; it never repeats the URL, which might hold a password.
func checkURL(s string) error {
	if s == "" {
		return errors.New("the server is not named: write it as http://host:8086")
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("this is no address of a server: write it as http://host:8086")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("give the bare address, without user, password or query: the token goes into TOKEN")
	}
	return nil
}
