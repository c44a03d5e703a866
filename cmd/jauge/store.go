package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/configs"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/storage/influx"
	"jauge.dev/jauge/storage/sqlite"
)

// store is what the program needs of a store beside what the pipeline does.
type store interface {
	pipeline.Store
	keeper
	opener
}

type opener interface {
	Open(ctx context.Context) error
	Ping(ctx context.Context) error
	Close() error
}

type keeper interface {
	HistoryRetention() time.Duration
	Prune(ctx context.Context, before time.Time) error
	DataThrough(ctx context.Context) ([]jauge.DataThrough, error)
}

// newStore makes the store that the operator chose.
func newStore(cfg *configs.Config, log *slog.Logger, reg prometheus.Registerer) (store, error) {
	switch cfg.Store {
	case configs.StoreSQLite:
		return sqlite.New(cfg.SQLite, log, reg)
	case configs.StoreInflux:
		return influx.New(cfg.Influx, log, reg)
	}
	return nil, fmt.Errorf("store %q is unknown", cfg.Store)
}

// openToRead opens the store for a command that only reads: it makes nothing that is not there.
func openToRead(ctx context.Context, cfg *configs.Config, log *slog.Logger) (store, error) {
	if cfg.Store == configs.StoreSQLite {
		if _, err := os.Stat(cfg.SQLite.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, &noStoreError{cfg.SQLite.Path}
		}
	}
	s, err := newStore(cfg, log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	if err := s.Open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", err), s.Close())
	}
	return s, nil
}

// noStoreError says that nothing was stored yet.
type noStoreError struct{ path string }

// Error says what to do.
func (e *noStoreError) Error() string {
	return fmt.Sprintf("there is no store at %s yet: run jauge collect --once, or name the data directory with --data-dir", e.path)
}
