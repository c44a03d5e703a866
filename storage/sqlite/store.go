package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	driver "modernc.org/sqlite"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

const (
	// walPages is how many pages the log holds before it is copied into the database: fewer, larger copies than the
	// default of 1000 make bulk writing cheaper.
	walPages = 4000
	// walBytes is what is left of the log file after a reader has held it long.
	walBytes = 64 << 20
	// idleReaders is how many reading connections are kept; more are opened when needed, since the caller of Read may
	// read again within its loop.
	idleReaders = 4
	// idleTime is after how long a connection that nobody uses is closed: its page cache goes with it.
	idleTime = time.Minute
)

// Store is a store in one SQLite file. It is safe for concurrent use.
type Store struct {
	cfg   Config
	log   *slog.Logger
	meter *base.Meter

	opening base.Gate // held while opening or closing
	closed  bool      // guarded by opening
	mu      sync.RWMutex
	dbs     *pools // nil until opened, and once closed

	turn   base.Gate // held while somebody writes
	writer *writer   // guarded by turn
}

// pools are the connections of an open store.
type pools struct{ rw, ro *sql.DB }

// New makes a store; it does no I/O. A nil logger logs nothing, a nil registerer exports nothing.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the SQLite store: %w", err)
	}
	meter, err := base.NewMeter("sqlite", reg)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{cfg: cfg.withDefaults(), log: log, meter: meter, opening: base.NewGate(), turn: base.NewGate()}, nil
}

// HistoryRetention tells how long history rows are to be kept; Prune removes older ones.
func (s *Store) HistoryRetention() time.Duration { return s.cfg.HistoryRetention }

// Open opens the file, makes it where there is none, and brings its tables up to date. It may be repeated until it
// succeeds; every other call does it first where it has not been done.
func (s *Store) Open(ctx context.Context) error {
	_, err := s.open(ctx)
	return err
}

func (s *Store) open(ctx context.Context) (*pools, error) {
	if p := s.opened(); p != nil {
		return p, nil
	}
	if err := s.opening.Enter(ctx); err != nil {
		return nil, s.explain(base.OpOpen, "open "+s.cfg.Path, err)
	}
	defer s.opening.Leave()
	if p := s.opened(); p != nil {
		return p, nil
	}
	if s.closed {
		return nil, &jauge.Error{Op: "use the SQLite store", Reason: jauge.ReasonCanceled, Err: errors.New("it is closed")}
	}
	p, err := s.connect()
	if err == nil {
		err = migrate(ctx, p.rw, s.log)
	}
	if err != nil {
		err = s.explain(base.OpOpen, "open "+s.cfg.Path, err)
		if p != nil {
			err = errors.Join(err, p.close())
		}
		return nil, err
	}
	s.mu.Lock()
	s.dbs = p
	s.mu.Unlock()
	s.log.InfoContext(ctx, "opened the SQLite store", "path", s.cfg.Path)
	return p, nil
}

func (s *Store) opened() *pools {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dbs
}

func (s *Store) connect() (*pools, error) {
	file := "file:" + (&url.URL{Path: s.cfg.Path}).EscapedPath()
	busy := fmt.Sprintf("&_busy_timeout=%d&_error_rc=1", s.cfg.BusyTimeout.Milliseconds())
	rw, err := driver.NewConnector(file + fmt.Sprintf("?mode=rwc&_txlock=immediate&_journal_mode=WAL&_synchronous=FULL"+
		"&_pragma=wal_autocheckpoint(%d)&_pragma=journal_size_limit(%d)&_pragma=cache_size(-%d)",
		walPages, walBytes, s.cfg.CacheKiB) + busy)
	if err != nil {
		return nil, err
	}
	ro, err := driver.NewConnector(file + fmt.Sprintf("?mode=rw&_query_only=1&_pragma=cache_size(-%d)",
		s.cfg.CacheKiB/4) + busy)
	if err != nil {
		return nil, err
	}
	p := &pools{rw: sql.OpenDB(rw), ro: sql.OpenDB(ro)}
	p.rw.SetMaxOpenConns(1)
	p.ro.SetMaxIdleConns(idleReaders)
	for _, db := range []*sql.DB{p.rw, p.ro} {
		db.SetConnMaxIdleTime(idleTime)
	}
	return p, nil
}

func (p *pools) close() error { return errors.Join(p.ro.Close(), p.rw.Close()) }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	var version int
	if err := p.ro.QueryRowContext(ctx, "SELECT max(version) FROM jauge_schema").Scan(&version); err != nil {
		return s.explain(base.OpPing, "ask for the schema version", err)
	}
	return nil
}

// Close waits for the write that is under way and closes the file for good. It is safe to repeat.
func (s *Store) Close() error {
	s.opening.EnterAlways()
	defer s.opening.Leave()
	s.turn.EnterAlways()
	defer s.turn.Leave()
	s.mu.Lock()
	p := s.dbs
	s.dbs = nil
	s.mu.Unlock()
	s.closed = true
	if p == nil {
		return nil
	}
	if s.writer != nil {
		s.writer.close()
		s.writer = nil
	}
	if err := p.close(); err != nil {
		return fmt.Errorf("close %s: %w", s.cfg.Path, err)
	}
	return nil
}
