package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

const (
	closeWithin  = 10 * time.Second // how long renewals under way are waited for at the end
	storeTimeout = 10 * time.Second // of one call of the store
	changeWithin = 30 * time.Second // of a change that somebody waits for
	listTimeout  = 60 * time.Second // of asking what can be followed
	leaseSlack   = 30 * time.Second // how much longer than a call a renewal may take before it counts as dead
)

// Vault keeps the grants. It is safe for use by several goroutines, and several vaults may share a store.
type Vault struct {
	cfg       Config
	deps      Deps
	log       *slog.Logger
	who       string // names this vault among those that share the store
	providers map[string]*Provider
	metrics   *metrics
	view      *view
	nonces    *nonceBook
	broken    unreadable
	fences    *fences
	asked     *asked // when a grant was last put to the test because of a refusal

	ring   atomic.Pointer[keyring]
	signer atomic.Pointer[signer]
	rotate sync.Mutex // one rotation at a time

	// life bounds the work that goes on when whoever asked for it has gone: a renewal that was sent must end in the
	// store. It begins with Open and ends with Close; soft ends when Close begins, for what need not be finished.
	life, soft context.Context //nolint:containedctx // see above
	kill, stop context.CancelFunc

	mu      sync.Mutex
	opened  bool
	closing bool
	flights map[string]*flight // renewals under way here, by grant
	work    sync.WaitGroup     // everything that life bounds
}

// New makes a vault. It does no I/O: Open does.
func New(cfg Config, d Deps) (*Vault, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make vault: %w", err)
	}
	if d.Store == nil {
		return nil, errors.New("make vault: it has no store")
	}
	if d.Clients == nil {
		return nil, errors.New("make vault: it has no clients for token endpoints")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	v := &Vault{
		cfg: cfg, deps: d, log: d.Log, who: ulid.Make().String(), providers: map[string]*Provider{}, view: newView(),
		nonces: newNonceBook(), asked: newAsked(), fences: newFences(), flights: map[string]*flight{},
	}
	for _, p := range d.Providers {
		if _, twice := v.providers[p.Name]; twice || p.Name == "" {
			return nil, fmt.Errorf("make vault: provider %q is without a name or there twice", p.Name)
		}
		if p.List == nil {
			return nil, fmt.Errorf("make vault: provider %s cannot list what to follow", p.Name)
		}
		v.providers[p.Name] = p
	}
	m, err := newMetrics(v, d.Metrics)
	if err != nil {
		return nil, fmt.Errorf("make vault: %w", err)
	}
	v.metrics = m
	return v, nil
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name string
		time.Duration
	}{{"STATE_LIFE", c.StateLife}, {"TIMEOUT", c.Timeout}, {"EVERY", c.Every}} {
		if d.Duration <= 0 {
			errs = append(errs, fmt.Errorf("%s is %s: set a duration above 0, such as 30s", d.name, d.Duration))
		}
	}
	if c.Warn < 0 {
		errs = append(errs, fmt.Errorf("WARN is %s: set a duration of 0 or more, such as 336h", c.Warn))
	}
	if c.Key != "" {
		if _, err := parseKeys(c.Key.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("KEY: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Close lets renewals under way end, for ten seconds at most, and refuses new ones. Run does it at its end; who does not
// run a vault closes it. It is safe to be called twice.
func (v *Vault) Close() {
	v.mu.Lock()
	if !v.opened || v.closing {
		v.mu.Unlock()
		return
	}
	v.closing = true
	v.stop()
	v.mu.Unlock()
	done := make(chan struct{})
	go func() {
		v.work.Wait()
		close(done)
	}()
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		v.log.Warn("renewals of grants are still under way at the end")
	}
	v.kill()
	<-done
}

// background runs f until Close begins; it is refused when the vault is not open.
func (v *Vault) background(f func(ctx context.Context)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.opened || v.closing {
		return false
	}
	v.work.Go(func() { f(v.soft) })
	return true
}

// provider finds a provider by name.
func (v *Vault) provider(name string) (*Provider, error) {
	p, ok := v.providers[name]
	if !ok {
		return nil, &jauge.Error{
			Op: "find provider", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("nobody knows %q", name),
		}
	}
	return p, nil
}

// dialect is how a provider is spoken to.
func (p *Provider) dialect() Dialect {
	if p.Dialect == nil {
		return Standard{}
	}
	return p.Dialect
}

// sleep waits, or returns early with the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
