package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Config holds what an operator may set of the HTTP manners; they are the same for all platforms.
type Config struct {
	// Contact is where a platform's administrator reaches the operator: a mail address or a web address. It is part
	// of the User-Agent.
	Contact string `env:"CONTACT"`
	// AttemptTimeout bounds one attempt, its whole body included.
	AttemptTimeout time.Duration `env:"ATTEMPT_TIMEOUT, default=30s"`
	// Attempts bounds how often one call is tried in all.
	Attempts int `env:"ATTEMPTS, default=5"`
	// MaxWait bounds each wait inside a call: for a budget, a quota's reset or a Retry-After. What would take longer
	// fails, with RetryAfter.
	MaxWait time.Duration `env:"MAX_WAIT, default=2m"`
	// TotalTimeout bounds a call with all its attempts and waits.
	TotalTimeout time.Duration `env:"TOTAL_TIMEOUT, default=5m"`
	// MaxBody bounds an answer's body, unpacked, in bytes.
	MaxBody int64 `env:"MAX_BODY, default=8388608"`
	// MaxInFlight bounds the attempts under way at once, per platform; with MaxBody it bounds memory.
	MaxInFlight int `env:"MAX_IN_FLIGHT, default=16"`
	// LimitFactor multiplies every platform's own limit: below 1 where others share the address, above 1 before a
	// gateway or a test server that may be asked more.
	LimitFactor float64 `env:"LIMIT_FACTOR, default=1"`
	// CircuitFailures is how many attempts in a row must fail, by network or server, to open a host's circuit.
	CircuitFailures int `env:"CIRCUIT_FAILURES, default=10"`
	// CircuitOpen is how long an open circuit refuses calls before it lets one through.
	CircuitOpen time.Duration `env:"CIRCUIT_OPEN, default=1m"`
	// AllowNets are networks that may be called though they are not public, such as 10.1.2.0/24. Addresses that the
	// operator set (base URLs, endpoints) need none of it.
	AllowNets []netip.Prefix `env:"ALLOW_NETS"`
}

// Default returns the configuration that an empty environment gives.
func Default() Config {
	return Config{
		AttemptTimeout: 30 * time.Second, Attempts: 5, MaxWait: 2 * time.Minute, TotalTimeout: 5 * time.Minute,
		MaxBody: defaultMaxBody, MaxInFlight: 16, LimitFactor: 1, CircuitFailures: 10, CircuitOpen: time.Minute,
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name string
		time.Duration
	}{
		{"ATTEMPT_TIMEOUT", c.AttemptTimeout}, {"MAX_WAIT", c.MaxWait}, {"TOTAL_TIMEOUT", c.TotalTimeout},
		{"CIRCUIT_OPEN", c.CircuitOpen},
	} {
		if d.Duration <= 0 {
			errs = append(errs, fmt.Errorf("%s is %s: set a duration above 0, such as 30s", d.name, d.Duration))
		}
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"ATTEMPTS", int64(c.Attempts)}, {"MAX_BODY", c.MaxBody}, {"MAX_IN_FLIGHT", int64(c.MaxInFlight)},
		{"CIRCUIT_FAILURES", int64(c.CircuitFailures)},
	} {
		if n.value <= 0 {
			errs = append(errs, fmt.Errorf("%s is %d: set a number above 0", n.name, n.value))
		}
	}
	if !(c.LimitFactor > 0) || c.LimitFactor > 1e6 {
		errs = append(errs, fmt.Errorf("LIMIT_FACTOR is %v: set a number above 0, 1 for the platform's own limit", c.LimitFactor))
	}
	for _, p := range c.AllowNets {
		if !p.IsValid() {
			errs = append(errs, errors.New("ALLOW_NETS holds what is no network: write each as 10.1.2.0/24"))
		}
	}
	if !plainHeader(c.Contact) {
		errs = append(errs, errors.New("CONTACT holds characters that no header may bear: write a mail or web address"))
	}
	return errors.Join(errs...)
}

// Deps are what a client is given; zero values do nothing or stand for the usual.
type Deps struct {
	Version string            // of jauge, for the User-Agent
	Base    http.RoundTripper // the network; nil for a transport of its own, which calls public addresses only
	Metrics *Metrics          // nil for none
	Log     *slog.Logger      // nil for none
	// Exempt are the addresses (URLs; empty ones count for nothing) that the operator set: their hosts and ports may be
	// called wherever they are.
	Exempt []string
}

func plainHeader(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// UserAgent writes the honest name under which jauge calls: version and contact.
func UserAgent(version, contact string) string {
	if version == "" {
		version = "dev"
	}
	if contact == "" {
		return "jauge/" + version
	}
	return "jauge/" + version + " (" + contact + ")"
}
