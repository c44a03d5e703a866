package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"jauge.dev/jauge"
)

const (
	defaultMaxBody = 8 << 20
	maxErrorBody   = 64 << 10
)

var errNull = errors.New("answer is null")

// call travels in a request's context from Get to the transport, so that an answer which cannot be decoded is one
// failed attempt among others: retried, counted, bounded.
type call struct {
	decode  func(body []byte) error
	decoded bool
}

type callKey struct{}

// Document is a JSON document that reads itself: Get hands it the body as it came. A json.Unmarshaler at the top would do,
// at the price of two more passes over the body, in which encoding/json looks for its end.
type Document interface {
	// DecodeJSON reads a body into a fresh value; any error is one of decoding.
	DecodeJSON(body []byte) error
}

// Get asks for a JSON document and decodes it. op is verb + object ("read profile") and begins the error. The client
// is one of NewClient; with any other the call works too, but is neither paced nor retried.
//
// Every failure is a *jauge.Error with Op, Reason and, where there was an answer, Status, Code (the platform's own
// error word) and RetryAfter; it never holds the URL's query. An answer that is no JSON, cut off or null has
// ReasonDecode. The header is given whenever there was an answer.
func Get[T any](ctx context.Context, hc *http.Client, op, url string) (T, http.Header, error) {
	var out T
	c := &call{decode: func(body []byte) error {
		var v T // a fresh one for each attempt: a failed one may leave half an answer
		if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
			return errNull
		}
		if err := decodeInto(&v, body); err != nil {
			return err
		}
		out = v
		return nil
	}}
	h, err := get(context.WithValue(ctx, callKey{}, c), hc, url, c)
	if err != nil {
		return *new(T), h, named(op, err)
	}
	return out, h, nil
}

func decodeInto(v any, body []byte) error {
	if d, ok := v.(Document); ok {
		return d.DecodeJSON(body)
	}
	return json.Unmarshal(body, v)
}

func get(ctx context.Context, hc *http.Client, url string, c *call) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, &jauge.Error{Reason: jauge.ReasonBadRequest, Err: errors.New("address is malformed")}
	}
	req.Header.Set("Accept", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
		_ = resp.Body.Close()
	}()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what can be read of it is enough
		return resp.Header, statusError(resp, body)
	}
	if c.decoded {
		return resp.Header, nil
	}
	body, err := readBounded(resp, defaultMaxBody)
	if err != nil {
		return resp.Header, err
	}
	if err := c.decode(body); err != nil {
		return resp.Header, decodeError(resp.StatusCode, err)
	}
	return resp.Header, nil
}

// readBounded reads a whole body and refuses one that is longer than bound bytes.
func readBounded(resp *http.Response, bound int64) ([]byte, error) {
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= bound {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, bound+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if n > bound {
		return nil, &jauge.Error{
			Reason: jauge.ReasonDecode, Status: resp.StatusCode,
			Err: fmt.Errorf("body is longer than %d bytes", bound),
		}
	}
	return buf.Bytes(), nil
}

func decodeError(status int, err error) *jauge.Error {
	return &jauge.Error{Reason: jauge.ReasonDecode, Status: status, Err: err}
}

// named makes any failure a *jauge.Error that begins with op. The *url.Error of net/http is left out: its text is
// the whole address.
func named(op string, err error) *jauge.Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if e, ok := errors.AsType[*jauge.Error](err); ok {
		c := *e
		c.Op = op
		return &c
	}
	return &jauge.Error{Op: op, Reason: reasonOf(err), Err: err}
}
