package natskv

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
)

// Bucket is the bucket's name; its stream is KV_jauge_vault.
const Bucket = "jauge_vault"

// Config names the cluster. It is not read from the environment: the program fills it with what the journal was given,
// since both are kept by the same servers.
type Config struct {
	URL         jauge.Secret  // several addresses apart by commas
	Credentials string        // path of a credentials file, or empty
	Replicas    int           // how many servers keep the bucket; 0 for 1
	Timeout     time.Duration // bounds one exchange with the server; 0 for 5 s
}

const (
	usualTimeout = 5 * time.Second
	leastTimeout = 100 * time.Millisecond
	mostReplicas = 5
)

// Validate reports everything that is wrong, all at once; zero fields stand for their defaults.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("the URL of the cluster is empty"))
	}
	if c.Replicas < 0 || c.Replicas > mostReplicas {
		errs = append(errs, fmt.Errorf("replicas is %d: give 1 to %d", c.Replicas, mostReplicas))
	}
	if c.Timeout != 0 && c.Timeout < leastTimeout {
		errs = append(errs, fmt.Errorf("timeout is %s: give at least %s", c.Timeout, leastTimeout))
	}
	return errors.Join(errs...)
}

// Store keeps sealed records on a cluster. It is safe for concurrent use, by many processes.
type Store struct {
	cfg Config
	log *slog.Logger

	nc     *nats.Conn
	stream jetstream.Stream
	kv     jetstream.KeyValue
	most   int // bytes of a value that the cluster takes
}

// New makes a store that is not open yet. A nil logger discards.
func New(cfg Config, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("vault bucket: %w", err)
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = usualTimeout
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{cfg: cfg, log: log}, nil
}
