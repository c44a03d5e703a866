package rest

import (
	"net/http"
	"time"

	"jauge.dev/jauge/collectors"
)

// QuotaOf tells what the platform behind a client of NewClient said is left: of its hosts and tokens, the one with the
// smallest remainder. ok is false where it said nothing, or where the client is none of NewClient's. A RoundTripper on
// top of the client's is seen through where it has Unwrap() http.RoundTripper.
func QuotaOf(hc *http.Client) (q collectors.Quota, ok bool) {
	if hc == nil {
		return q, false
	}
	rt := hc.Transport
	for {
		switch t := rt.(type) {
		case *transport:
			return t.quotaLeft(time.Now())
		case interface{ Unwrap() http.RoundTripper }:
			rt = t.Unwrap()
		default:
			return q, false
		}
	}
}
