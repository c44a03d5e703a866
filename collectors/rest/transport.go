package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/sony/gobreaker/v2"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// maxHosts bounds how many hosts, and how many host-and-token pairs, have a state of their own.
const maxHosts = 4096

var errAttempt = errors.New("no whole answer in time")

// transport is the chain under every client; doc.go draws it.
type transport struct {
	cfg      Config
	base     http.RoundTripper
	agent    string
	platform collectors.Platform
	circuits *idleMap[*circuit]
	budgets  *idleMap[*budget]
	inFlight chan struct{}
	series   *series
	notices  *notices
	log      *slog.Logger
}

// outcome is what became of one attempt: an answer, whatever its status, or an error.
type outcome struct {
	resp   *http.Response
	err    *jauge.Error
	reason jauge.Reason  // empty for success
	after  time.Duration // how long the platform asks to wait, 0 where it does not say
	final  bool          // not worth another attempt
}

func failed(err *jauge.Error, final bool) outcome {
	return outcome{err: err, reason: err.Reason, after: err.RetryAfter, final: final}
}

func (o outcome) result() (*http.Response, error) {
	if o.err != nil {
		return nil, o.err
	}
	return o.resp, nil
}

// RoundTrip does one call: attempts until one succeeds, fails for good, or the bounds are reached.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = t.dress(req)
	ctx := req.Context()
	c := t.circuits.get(req.URL.Host)
	b := t.budgets.get(budgetKey(req))
	r := newRetries(t.cfg)
	for {
		o := t.attempt(ctx, req, c, b)
		t.series.count(o.reason)
		wait, again := r.next(req, o)
		if !again || !fits(ctx, wait) {
			return o.result()
		}
		t.series.retries.Inc()
		t.log.DebugContext(ctx, "call is tried again", "host", req.URL.Host, "reason", string(o.reason),
			"wait_seconds", wait.Seconds())
		if err := sleep(ctx, wait); err != nil {
			return nil, ended(ctx)
		}
	}
}

// CloseIdleConnections passes the wish of http.Client on to the network.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// dress copies the request, names the caller honestly and takes off what was meant for another host.
func (t *transport) dress(req *http.Request) *http.Request {
	stray := !sameOrigin(req)
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", t.agent)
	req.Header.Del("Referer") // net/http puts the previous address here, query and all
	if stray {
		for _, h := range []string{"Authorization", "Cookie", "Dpop", "Apikey"} {
			req.Header.Del(h)
		}
	}
	return req
}

// attempt asks circuit and budget, then the network, once.
func (t *transport) attempt(ctx context.Context, req *http.Request, c *circuit, b *budget) outcome {
	if err := c.refuses(time.Now()); err != nil {
		closeBody(req)
		return failed(err, true)
	}
	if err := b.admit(ctx, t.cfg.MaxWait); err != nil {
		closeBody(req)
		return failed(err, true)
	}
	select {
	case t.inFlight <- struct{}{}:
		defer func() { <-t.inFlight }()
	case <-ctx.Done():
		closeBody(req)
		return failed(ended(ctx), true)
	}
	o, err := c.breaker.Execute(func() (outcome, error) {
		o := t.once(ctx, req)
		return o, o.fault()
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		closeBody(req)
		return failed(c.open(time.Now()), true)
	}
	if o.resp != nil {
		o.after = b.learn(o.resp, time.Now())
	}
	return o
}

// once sends the request and reads the whole answer within the deadline of one attempt.
func (t *transport) once(ctx context.Context, req *http.Request) outcome {
	start := time.Now()
	defer func() { t.series.seconds.Observe(time.Since(start).Seconds()) }()
	actx, cancel := context.WithTimeoutCause(ctx, t.cfg.AttemptTimeout, errAttempt)
	defer cancel()
	resp, err := t.base.RoundTrip(req.WithContext(actx))
	if err != nil {
		return t.broken(ctx, actx, err)
	}
	body, err := readBounded(resp, t.cfg.MaxBody)
	_ = resp.Body.Close()
	if err != nil {
		return t.broken(ctx, actx, err)
	}
	resp.Request = req // not the one whose context has ended
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	t.heed(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return t.refused(resp)
	}
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return outcome{resp: resp}
	}
	if err := c.decode(body); err != nil {
		return failed(decodeError(resp.StatusCode, err), false)
	}
	c.decoded = true
	resp.Body, resp.ContentLength = http.NoBody, 0
	return outcome{resp: resp}
}

// broken judges an attempt without a whole answer.
func (t *transport) broken(ctx, actx context.Context, err error) outcome {
	switch {
	case ctx.Err() != nil:
		return failed(ended(ctx), true)
	case actx.Err() != nil:
		return failed(&jauge.Error{
			Reason: jauge.ReasonDeadline, Err: fmt.Errorf("%w (%s)", errAttempt, t.cfg.AttemptTimeout),
		}, false)
	}
	if e, ok := errors.AsType[*jauge.Error](err); ok { // too long a body: it will not shrink
		return failed(e, true)
	}
	return failed(&jauge.Error{Reason: reasonOf(err), Err: err}, false)
}

// refused judges an answer that is no success. Redirects are no failures: http.Client follows them.
func (t *transport) refused(resp *http.Response) outcome {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return outcome{resp: resp, final: true}
	}
	o := outcome{resp: resp, reason: reasonOfStatus(resp.StatusCode)}
	switch {
	case o.reason != jauge.ReasonServer && o.reason != jauge.ReasonRateLimited:
		o.final = true
	case resp.StatusCode == http.StatusNotImplemented, resp.StatusCode == http.StatusHTTPVersionNotSupported:
		o.final = true
	}
	return o
}

// fault is what the circuit counts: failures of the network and of the server.
func (o outcome) fault() error {
	switch o.reason {
	case jauge.ReasonServer, jauge.ReasonNetwork, jauge.ReasonDeadline:
		if o.err != nil {
			return o.err
		}
		if !o.final {
			return &jauge.Error{Reason: o.reason, Status: o.resp.StatusCode}
		}
	case jauge.ReasonCanceled:
		return o.err
	case jauge.ReasonAuth, jauge.ReasonScope, jauge.ReasonQuota, jauge.ReasonRateLimited, jauge.ReasonNotFound,
		jauge.ReasonBadRequest, jauge.ReasonDecode, jauge.ReasonOther:
	}
	return nil
}

// setRetryAfter writes what the platform said in its dialect in the header that every caller understands.
func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
}

// ended is the error of a context that has ended.
func ended(ctx context.Context) *jauge.Error {
	r := jauge.ReasonCanceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r = jauge.ReasonDeadline
	}
	return &jauge.Error{Reason: r, Err: ctx.Err()}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
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

// fits tells whether a wait ends before the context does.
func fits(ctx context.Context, wait time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > wait
}
