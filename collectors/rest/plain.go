package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// NewPlain makes a client for authorization servers: it names jauge, is guarded, bounds body and time, counts under the
// label name, and does nothing by itself: it never repeats a request, keeps no answer, and hands the answer to a POST
// over as it came, redirects included. It is safe for use by several goroutines.
func NewPlain(name string, cfg Config, deps Deps) (*http.Client, error) {
	if name == "" {
		return nil, errors.New("make http client: it has no name")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make http client: %w", err)
	}
	if err := deps.fill(cfg); err != nil {
		return nil, err
	}
	t := &plain{transport{
		cfg: cfg, base: deps.Base, agent: UserAgent(deps.Version, cfg.Contact),
		series: deps.Metrics.platform(name), notices: &deps.Metrics.notices, log: deps.Log.With("platform", name),
	}}
	return &http.Client{Transport: t, CheckRedirect: plainRedirect, Timeout: cfg.TotalTimeout}, nil
}

// fill puts the usual where nothing was given.
func (d *Deps) fill(cfg Config) error {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = newMetrics()
	}
	if d.Base == nil {
		g, err := newGuard(cfg, d.Exempt)
		if err != nil {
			return err
		}
		d.Base = g
	}
	return nil
}

// plainRedirect leaves alone where a POST leads: its form may hold what was meant for this server only.
func plainRedirect(req *http.Request, via []*http.Request) error {
	if m := via[0].Method; m != http.MethodGet && m != http.MethodHead {
		return http.ErrUseLastResponse
	}
	return checkRedirect(req, via)
}

type plain struct{ transport }

// RoundTrip sends the request once and reads the whole answer.
func (p *plain) RoundTrip(req *http.Request) (*http.Response, error) {
	t := &p.transport
	req = t.dress(req)
	ctx := req.Context()
	start := time.Now()
	defer func() { t.series.seconds.Observe(time.Since(start).Seconds()) }()
	actx, cancel := context.WithTimeoutCause(ctx, t.cfg.AttemptTimeout, errAttempt)
	defer cancel()
	o := p.once(ctx, actx, req)
	t.series.count(o.reason)
	return o.result()
}

func (p *plain) once(ctx, actx context.Context, req *http.Request) outcome {
	resp, err := p.base.RoundTrip(req.WithContext(actx))
	if err != nil {
		return p.broken(ctx, actx, err)
	}
	body, err := readBounded(resp, min(p.cfg.MaxBody, maxPlainBody))
	_ = resp.Body.Close()
	if err != nil {
		return p.broken(ctx, actx, err)
	}
	resp.Request = req // not the one whose context has ended
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	p.heed(resp)
	o := outcome{resp: resp}
	if resp.StatusCode >= 400 {
		o.reason = reasonOfStatus(resp.StatusCode)
	}
	return o
}

// maxPlainBody bounds an authorization server's answer: documents and tokens are far smaller.
const maxPlainBody = 2 << 20

var _ http.RoundTripper = (*plain)(nil)
