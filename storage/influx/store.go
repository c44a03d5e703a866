package influx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// Store is a store in InfluxDB. It is safe for concurrent use.
type Store struct {
	cfg       Config
	base      string // the server's address without a slash at its end
	log       *slog.Logger
	meter     *base.Meter
	hc        *http.Client
	client    influxdb2.Client
	templates map[*jauge.Schema]*template
	main      *bucket
	history   *bucket
	texts     chan []byte // buffers for lines
	unused    *time.Timer // gives them back

	opening base.Gate // held while opening or closing
	closed  bool      // guarded by opening
	mu      sync.RWMutex
	ready   bool // the buckets have been found
}

// bucket is where some of the measurements are.
type bucket struct {
	name   string
	want   time.Duration // retention to make it with, 0 for ever
	shard  time.Duration
	writer api.WriteAPIBlocking

	kept time.Duration // retention found at Open, 0 for ever; guarded by Store.mu
}

// New makes a store; it does no I/O. A nil logger logs nothing, a nil registerer exports nothing.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the InfluxDB store: %w", err)
	}
	meter, err := base.NewMeter("influx", reg)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg.withDefaults(), base: strings.TrimRight(cfg.URL, "/"), log: log, meter: meter, templates: newTemplates(),
		opening: base.NewGate(),
		texts:   make(chan []byte, 2*cfg.withDefaults().Concurrency), // the history is written beside the rest
	}
	s.unused = time.AfterFunc(keepUnused, s.drop)
	s.hc = newHTTP(s.cfg)
	s.client = influxdb2.NewClientWithOptions(s.base, s.cfg.Token.Reveal(),
		influxdb2.DefaultOptions().SetHTTPClient(s.hc).SetUseGZip(false).SetPrecision(time.Nanosecond))
	s.main = s.newBucket(cfg.Bucket, 0, year)
	s.history = s.newBucket(cfg.Bucket+historySuffix, s.cfg.HistoryRetention, historyShard(s.cfg.HistoryRetention))
	return s, nil
}

func (s *Store) newBucket(name string, keep, shard time.Duration) *bucket {
	return &bucket{name: name, want: keep, kept: keep, shard: shard, writer: s.client.WriteAPIBlocking(s.cfg.Org, name)}
}

// historyShard gives the length of the history's shards: a week, less where the retention is short.
func historyShard(keep time.Duration) time.Duration {
	switch {
	case keep >= 2*week:
		return week
	case keep > 2*day:
		return day
	}
	return time.Hour
}

func newHTTP(cfg Config) *http.Client {
	dial := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &gzipper{idle: make(chan *gzip.Writer, cfg.Concurrency), next: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dial.DialContext, ForceAttemptHTTP2: true,
			MaxIdleConns: 2*cfg.Concurrency + 8, MaxIdleConnsPerHost: 2*cfg.Concurrency + 8,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}},
		// A redirected POST becomes a GET without its body, which would look like a write that succeeded.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// HistoryRetention tells how long history rows are kept: as configured, or less where the bucket that was found keeps
// less.
func (s *Store) HistoryRetention() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.history.kept > 0 && s.history.kept < s.cfg.HistoryRetention {
		return s.history.kept
	}
	return s.cfg.HistoryRetention
}

// Prune does nothing: the history bucket drops old rows by itself.
func (s *Store) Prune(context.Context, time.Time) error { return nil }

// Ping tells whether the server answers, takes the token and has the bucket.
func (s *Store) Ping(ctx context.Context) error {
	err := s.open(ctx)
	if err == nil {
		_, err = s.version(ctx)
	}
	return s.failed(base.OpPing, err)
}

// Close ends the connections. It is safe to repeat.
func (s *Store) Close() error {
	s.opening.EnterAlways()
	defer s.opening.Leave()
	s.mu.Lock()
	s.ready = false
	s.mu.Unlock()
	s.closed = true
	s.unused.Stop()
	s.client.Close()
	s.hc.CloseIdleConnections()
	return nil
}

// failed counts an error, and has the next call look for the buckets again where one is gone.
func (s *Store) failed(op base.Op, err error) error {
	if err == nil {
		return nil
	}
	s.meter.Failed(op, err)
	return s.doubt(err)
}

func (s *Store) doubt(err error) error {
	if e, ok := errors.AsType[*jauge.Error](err); ok && e.Reason == jauge.ReasonNotFound {
		s.mu.Lock()
		s.ready = false
		s.mu.Unlock()
	}
	return err
}

// bucketOf tells where a measurement's rows are.
func (s *Store) bucketOf(sch *jauge.Schema) *bucket {
	if sch.History {
		return s.history
	}
	return s.main
}
