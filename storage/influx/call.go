package influx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	ihttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"jauge.dev/jauge"
)

const (
	maxAnswer = 4 << 20 // of an answer that is read whole
	maxReason = 500     // characters of a server's message that are kept
)

// call asks the server's REST API and decodes the answer into out, if there is one.
func (s *Store) call(ctx context.Context, op, method, path string, params url.Values, body, out any) error {
	ctx, cancel := s.bounded(ctx, s.cfg.Timeout)
	defer cancel()
	var payload io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		payload = bytes.NewReader(text)
	}
	req, err := s.request(ctx, method, path+"?"+params.Encode(), payload)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.hc.Do(req)
	if err != nil {
		return s.explain(op, err)
	}
	defer func() { _ = resp.Body.Close() }() // what matters has been read
	if resp.StatusCode >= 300 {
		return s.refusal(op, resp)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return s.explain(op, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return &jauge.Error{
			Op: op, Reason: jauge.ReasonDecode, Err: err, Hint: "is this an InfluxDB 2.x? Look at the URL and at proxies between",
		}
	}
	return nil
}

func (s *Store) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Token "+s.cfg.Token.Reveal())
	req.Header.Set("User-Agent", "jauge")
	return req, nil
}

func (s *Store) bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("InfluxDB gave no answer within %s: %w", d, context.DeadlineExceeded))
}

// refusal reads an answer that is no success.
func (s *Store) refusal(op string, resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status alone says enough
	var said struct{ Code, Message, Error string }
	if json.Unmarshal(text, &said) != nil {
		said.Message = string(text)
	}
	after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return s.status(op, resp.StatusCode, said.Code, strings.TrimSpace(said.Message+said.Error), time.Duration(after)*time.Second)
}

// explain turns an error of the client or of the network into one with a reason and a hint.
func (s *Store) explain(op string, err error) error {
	if _, ok := errors.AsType[*jauge.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*ihttp.Error](err); ok && e.StatusCode != 0 {
		said := e.Message
		if said == "" && e.Err != nil {
			said = e.Err.Error()
		}
		return s.status(op, e.StatusCode, e.Code, said, time.Duration(e.RetryAfter)*time.Second) //nolint:gosec // read as 32 bits
	}
	out := &jauge.Error{Op: op, Reason: jauge.ReasonOf(err), Err: err}
	switch out.Reason {
	case jauge.ReasonNetwork, jauge.ReasonDeadline:
	case jauge.ReasonOther:
		if !errors.Is(err, io.ErrUnexpectedEOF) { // an answer that came whole, but is none
			out.Reason = jauge.ReasonDecode
			return out
		}
		out.Reason = jauge.ReasonNetwork
	default:
		return out
	}
	out.Hint = "is InfluxDB up and reachable at its URL? The call is repeated"
	return out
}

func (s *Store) status(op string, status int, code, said string, after time.Duration) error {
	e := &jauge.Error{Op: op, Status: status, Code: code, RetryAfter: after, Err: errors.New(short(said))}
	switch {
	case status == http.StatusUnauthorized:
		e.Reason, e.Hint = jauge.ReasonAuth, "the token is not known to this server, or lacks the right: look at TOKEN and URL"
	case status == http.StatusForbidden:
		e.Reason, e.Hint = jauge.ReasonScope, "the token lacks a right: it must read and write both buckets"
	case status == http.StatusNotFound:
		e.Reason = jauge.ReasonNotFound
		e.Hint = "look at URL, ORG and BUCKET; missing buckets are made again with the next call"
	case status == http.StatusTooManyRequests:
		e.Reason = jauge.ReasonRateLimited
	case status >= 500:
		e.Reason, e.Hint = jauge.ReasonServer, "look at InfluxDB's own log; the call is repeated"
	case status >= 300 && status < 400:
		e.Reason, e.Hint = jauge.ReasonBadRequest, "the server sends elsewhere: give the final address as URL"
	default:
		e.Reason = jauge.ReasonBadRequest
	}
	return e
}

// short cuts a server's message to a length that fits a log.
func short(s string) string {
	if s == "" {
		return "no reason given"
	}
	if r := []rune(s); len(r) > maxReason {
		return string(r[:maxReason]) + "…"
	}
	return s
}
