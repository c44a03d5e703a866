package journal

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// Config says where the journal is and how much it may hold. Sizes are in bytes.
type Config struct {
	// Dir is the folder of the embedded server; it is made if missing. Unused where URL is set.
	Dir string `env:"DIR"`
	// URL names an external cluster, several addresses apart by commas; empty for the embedded server. It may carry
	// user and password.
	URL jauge.Secret `env:"URL"`
	// Credentials is the path of a credentials file for the external cluster.
	Credentials string `env:"CREDENTIALS_FILE"`
	// Replicas is how many servers of an external cluster keep each stream.
	Replicas int `env:"REPLICAS, default=1"`

	// MaxBytes bounds the work stream: when it is full, Append refuses and collectors pause.
	MaxBytes int64 `env:"MAX_BYTES, default=2147483648"`
	// ArchiveMaxBytes and ArchiveMaxAge bound the archive: the oldest pages go first.
	ArchiveMaxBytes int64         `env:"ARCHIVE_MAX_BYTES, default=4294967296"`
	ArchiveMaxAge   time.Duration `env:"ARCHIVE_MAX_AGE, default=720h"`
	// DeadMaxBytes bounds the dead letters: when they are full, Bury refuses and the pipeline waits.
	DeadMaxBytes int64 `env:"DEAD_MAX_BYTES, default=536870912"`
	// MinFree is how much of the disk below Dir stays free: below it Append refuses. It is never more than a
	// sixteenth of the disk.
	MinFree int64 `env:"MIN_FREE_BYTES, default=67108864"`

	// Timeout bounds one exchange with the server; a publish that is not answered in it is repeated.
	Timeout time.Duration `env:"TIMEOUT, default=5s"`
	// AckWait is after how long the server delivers a message again that nobody has settled or said to be working on.
	AckWait time.Duration `env:"ACK_WAIT, default=2m"`
	// Prefetch is how many bytes of messages wait in memory for Next.
	Prefetch int `env:"PREFETCH_BYTES, default=2097152"`
}

// The least sizes that make sense: a message is up to a MiB.
const (
	leastStream   = 4 << 20
	leastPrefetch = 1 << 20
)

// withDefaults fills what was left zero, so that a Config written in code needs to name only what it changes.
func (c Config) withDefaults() Config {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.MaxBytes, 2<<30)
	set(&c.ArchiveMaxBytes, 4<<30)
	set(&c.DeadMaxBytes, 512<<20)
	set(&c.MinFree, 64<<20)
	set((*int64)(&c.ArchiveMaxAge), int64(30*24*time.Hour))
	set((*int64)(&c.Timeout), int64(5*time.Second))
	set((*int64)(&c.AckWait), int64(2*time.Minute))
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Prefetch == 0 {
		c.Prefetch = 2 << 20
	}
	return c
}

// Validate reports everything that is wrong, all at once; zero fields stand for their defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.URL == "" && c.Dir == "" {
		errs = append(errs, errors.New("journal has neither a folder nor the URL of a cluster: set one of them"))
	}
	errs = append(errs, c.validateURL())
	for _, s := range []struct {
		name string
		v    int64
	}{{"max bytes", c.MaxBytes}, {"archive max bytes", c.ArchiveMaxBytes}, {"dead max bytes", c.DeadMaxBytes}} {
		if s.v < leastStream {
			errs = append(errs, fmt.Errorf("journal %s is %d: give at least %d", s.name, s.v, leastStream))
		}
	}
	for _, d := range []struct {
		name  string
		v     time.Duration
		least time.Duration
	}{
		{"archive max age", c.ArchiveMaxAge, time.Hour},
		{"timeout", c.Timeout, 100 * time.Millisecond},
		{"ack wait", c.AckWait, time.Second},
	} {
		if d.v < d.least {
			errs = append(errs, fmt.Errorf("journal %s is %s: give at least %s", d.name, d.v, d.least))
		}
	}
	if c.MinFree < 0 {
		errs = append(errs, fmt.Errorf("journal min free is %d: give 0 or more", c.MinFree))
	}
	if c.Prefetch < leastPrefetch {
		errs = append(errs, fmt.Errorf("journal prefetch is %d: give at least %d", c.Prefetch, leastPrefetch))
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		errs = append(errs, fmt.Errorf("journal replicas is %d: give 1 to 5", c.Replicas))
	}
	return errors.Join(errs...)
}

// validateURL names no part of the URL: it may hold a password.
func (c Config) validateURL() error {
	if c.URL == "" {
		return nil
	}
	for _, one := range strings.Split(c.URL.Reveal(), ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" {
			return errors.New("journal URL is no URL: write nats://host:4222 or tls://host:4222")
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return errors.New("journal URL has an unknown scheme: write nats://, tls://, ws:// or wss://")
		}
	}
	return nil
}
