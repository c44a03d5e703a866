package rest

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"jauge.dev/jauge"
)

// maxDecodes bounds the attempts at an answer that cannot be decoded: a second reading mends one that was cut off, no
// number of readings mends one whose shape has changed.
const maxDecodes = 3

// retries decides about the next attempt of one call.
type retries struct {
	cfg     Config
	tries   int
	decodes int
	growing *backoff.ExponentialBackOff
}

func newRetries(cfg Config) *retries {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = 500*time.Millisecond, 30*time.Second, 2
	return &retries{cfg: cfg, growing: b}
}

// next tells whether the call is worth another attempt after this outcome, and after which wait: what the platform
// asked for, else a wait that grows and is drawn at random, so that callers that failed together do not return
// together.
func (r *retries) next(req *http.Request, o outcome) (wait time.Duration, again bool) {
	r.tries++
	if o.reason == "" || o.final || r.tries >= r.cfg.Attempts {
		return 0, false
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return 0, false
	}
	if o.reason == jauge.ReasonDecode {
		if r.decodes++; r.decodes >= maxDecodes {
			return 0, false
		}
	}
	if o.after > r.cfg.MaxWait {
		return 0, false
	}
	wait = min(r.growing.NextBackOff(), r.cfg.MaxWait)
	if o.after > 0 {
		wait = max(wait, o.after+rand.N(time.Second)) //nolint:gosec // jitter needs no secrecy
	}
	return wait, true
}
