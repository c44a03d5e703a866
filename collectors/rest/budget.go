package rest

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

var (
	errBudget = errors.New("own budget for this host is spent")
	errQuota  = errors.New("platform's quota is spent")
)

// budgetKey is the host and, where the call bears a token, a digest of it: platforms count per token.
func budgetKey(req *http.Request) string {
	auth := req.Header.Get("Authorization")
	if auth == "" {
		return req.URL.Host
	}
	sum := sha256.Sum256([]byte(auth))
	return req.URL.Host + " " + string(sum[:16])
}

// budget is what is left for one host and token: by our own limit, and by what the platform says.
type budget struct {
	own     *rate.Limiter // nil for no limit
	dialect collectors.RateLimitFunc

	mu    sync.Mutex
	quota collectors.Quota
	known bool
}

// newBudget spreads a platform's limit: a quarter may come at once, the rest follows evenly, so that no stretch of
// the limit's length ever holds more calls than the limit.
func (t *transport) newBudget(string) *budget {
	b := &budget{dialect: t.platform.RateLimit}
	calls := int(float64(t.platform.Limit.Calls) * t.cfg.LimitFactor)
	if t.platform.Limit.Calls <= 0 || t.platform.Limit.In <= 0 {
		return b
	}
	calls = max(calls, 1)
	burst := max(calls/4, 1)
	even := max(calls-burst, 1)
	b.own = rate.NewLimiter(rate.Every(t.platform.Limit.In/time.Duration(even)), burst)
	return b
}

// admit waits until a call may be made. It fails at once where that would take longer than longest or than ctx lives.
func (b *budget) admit(ctx context.Context, longest time.Duration) *jauge.Error {
	for {
		wait := b.reserveQuota(time.Now())
		if wait == 0 {
			break
		}
		if wait > longest || !fits(ctx, wait) {
			return &jauge.Error{Reason: jauge.ReasonQuota, RetryAfter: wait, Err: errQuota}
		}
		if sleep(ctx, wait) != nil {
			return ended(ctx)
		}
	}
	if b.own == nil {
		return nil
	}
	r := b.own.Reserve()
	wait := r.Delay()
	if wait > longest || !fits(ctx, wait) {
		r.Cancel()
		return &jauge.Error{Reason: jauge.ReasonQuota, RetryAfter: wait, Err: errBudget}
	}
	if wait > 0 && sleep(ctx, wait) != nil {
		r.Cancel()
		return ended(ctx)
	}
	return nil
}

// reserveQuota takes one call off the platform's quota and returns 0, or returns how long until there is one again.
func (b *budget) reserveQuota(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known || !now.Before(b.quota.Reset) {
		return 0
	}
	if b.quota.Remaining > 0 {
		b.quota.Remaining--
		return 0
	}
	return b.quota.Reset.Sub(now)
}

// learn keeps what an answer says of the quota, and returns how long the platform asks to wait, 0 where it does not.
// Such a wait is written into the answer as Retry-After, whatever the dialect it came in.
func (b *budget) learn(resp *http.Response, now time.Time) time.Duration {
	var q collectors.Quota
	var told bool
	if b.dialect != nil {
		q, told = b.dialect(resp.Header, now)
	}
	after, asked := RetryAfter(resp.Header, now)
	if slow := resp.StatusCode == http.StatusTooManyRequests; slow {
		if !asked && told {
			after, asked = max(q.Reset.Sub(now), 0), true
			setRetryAfter(resp.Header, after)
		}
		if asked { // others that share this budget need not be told one by one
			q, told = collectors.Quota{Limit: q.Limit, Reset: now.Add(after).UTC()}, true
		}
	}
	if told {
		b.keep(q)
	}
	if !asked {
		return 0
	}
	return after
}

// keep stores a quota. Answers overtake each other: within one stretch the smallest remainder is the newest.
func (b *budget) keep(q collectors.Quota) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known && b.quota.Remaining < q.Remaining && q.Reset.Sub(b.quota.Reset).Abs() < time.Second {
		return
	}
	b.quota, b.known = q, true
}

// left is what the platform says remains at the instant now.
func (b *budget) left(now time.Time) (collectors.Quota, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.quota
	if b.known && !now.Before(q.Reset) {
		q.Remaining = q.Limit
		return q, q.Limit > 0
	}
	return q, b.known
}
