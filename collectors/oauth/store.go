package oauth

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
)

// Store keeps sealed records, durable when a call returns, with compare-and-swap by revision: storage/state in the data
// directory, storage/natskv where replicas share it. A record that is not there gives a *jauge.Error with
// ReasonNotFound; a revision that is not the record's gives jauge.ErrStale. A write of which nobody knows whether it
// was done gives any other error.
type Store interface {
	LoadSealed(ctx context.Context, key string) (jauge.Sealed, error)
	// SaveSealed makes (rev 0) or replaces (the rev that was read) a record, and returns its new revision.
	SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	DropSealed(ctx context.Context, key string, rev uint64) error
	// Sealed lists the records whose keys begin with prefix, in the order of their keys.
	Sealed(ctx context.Context, prefix string) iter.Seq2[jauge.Sealed, error]
}

// Config says how the vault works.
type Config struct {
	// Key seals grants: 32 bytes in base64, made by `jauge vault key`. Several, separated by commas, are a keyring: the
	// first one seals, all of them open. Empty: a key is made in the data directory (not with an external NATS).
	Key jauge.Secret `env:"KEY"`
	// StateLife is how long an authorization may take from the click to the callback.
	StateLife time.Duration `env:"STATE_LIFE, default=10m"`
	// Timeout bounds a call of a token endpoint.
	Timeout time.Duration `env:"TIMEOUT, default=30s"`
	// Every is how often the vault looks for grants that are due for renewal.
	Every time.Duration `env:"EVERY, default=15s"`
	// Warn is how long before its end a grant that nothing can renew counts as expiring.
	Warn time.Duration `env:"WARN, default=336h"`
}

// Deps are what a vault works with.
type Deps struct {
	Store     Store
	Providers []*Provider                  // with the operator's settings applied
	Apps      map[string]App               // by Provider.Name
	Clients   func(*Provider) *http.Client // for token endpoints and List: guarded, bounded, never repeating a request
	// API finds the paced client of a platform's collectors; grants are put on top of its transport.
	API      func(jauge.Platform) *http.Client
	Base     func(jauge.Platform) string // API roots that the operator replaced, else ""
	Public   string                      // JAUGE_PUBLIC_URL without a slash at its end; empty on loopback
	KeyFile  string                      // where a key is made when Config.Key is empty; empty: refuse
	OnChange func(Change)                // alerts; may be nil; must not block
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}
