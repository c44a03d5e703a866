package rest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"jauge.dev/jauge"
)

var errCircuit = errors.New("host has failed repeatedly and is left alone for a while")

// circuit keeps calls from a host that is down.
type circuit struct {
	breaker *gobreaker.CircuitBreaker[outcome]
	stays   time.Duration
	since   atomic.Int64 // Unix nanoseconds of the last opening
}

func (t *transport) newCircuit(host string) *circuit {
	c := &circuit{stays: t.cfg.CircuitOpen}
	limit := uint32(t.cfg.CircuitFailures) //nolint:gosec // validated above 0
	c.breaker = gobreaker.NewCircuitBreaker[outcome](gobreaker.Settings{
		Name:        host,
		Timeout:     t.cfg.CircuitOpen,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= limit },
		IsExcluded:  func(err error) bool { return jauge.ReasonOf(err) == jauge.ReasonCanceled },
		OnStateChange: func(name string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				c.since.Store(time.Now().UnixNano())
				t.log.Warn("circuit opened", "host", name, "open_seconds", c.stays.Seconds())
			case gobreaker.StateClosed:
				t.log.Info("circuit closed", "host", name)
			case gobreaker.StateHalfOpen:
			}
		},
	})
	return c
}

// refuses gives the error of an open circuit, nil where calls may pass.
func (c *circuit) refuses(now time.Time) *jauge.Error {
	if c.breaker.State() != gobreaker.StateOpen {
		return nil
	}
	return c.open(now)
}

// open is the error of an open circuit; RetryAfter is when it lets a call through again.
func (c *circuit) open(now time.Time) *jauge.Error {
	left := time.Unix(0, c.since.Load()).Add(c.stays).Sub(now) + time.Millisecond // it opens just after, not at, its end
	return &jauge.Error{
		Reason: jauge.ReasonServer, RetryAfter: max(left, time.Second),
		Err: fmt.Errorf("%w: %s", errCircuit, c.breaker.Name()),
	}
}

// down tells whether the circuit keeps calls back: open, or trying its first call after.
func (c *circuit) down() bool { return c.breaker.State() != gobreaker.StateClosed }
