package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// Scrub takes addresses out of an error: the text of a *url.Error is the whole address, and its query may hold a code or
// a token. What errors.Is and errors.As find in the cause stays.
func Scrub(err error) error {
	u, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	where := "address"
	if a, perr := url.Parse(u.URL); perr == nil && a.Host != "" {
		where = a.Host
	}
	return fmt.Errorf("%s %s: %w", u.Op, where, Scrub(u.Err))
}

// Send sends a request once, and its error is fit to be shown: without the address's path and query, and with ErrNotSent
// in it where no connection was made, so that nothing can have been spent. Dialects send everything by it.
func Send(hc *http.Client, req *http.Request) (*http.Response, error) {
	var asked, got atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	}
	resp, err := hc.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err == nil {
		return resp, nil
	}
	err = Scrub(err)
	// A transport that does not speak of its connections proves nothing: its request counts as sent.
	if asked.Load() && !got.Load() && !errors.Is(err, ErrNotSent) {
		err = fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return nil, err
}
