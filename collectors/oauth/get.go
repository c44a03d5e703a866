package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"jauge.dev/jauge"
)

// GetJSON reads an API answer into a value for Provider.List: one call with c.HTTP, which authorises it. op is verb +
// object; header may be nil. The error is a *jauge.Error whose Code is the provider's own word, and holds no address.
func GetJSON(ctx context.Context, c *Call, op, address string, header http.Header, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return &jauge.Error{Op: op, Reason: jauge.ReasonBadRequest, Err: Scrub(err)}
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/json")
	a, err := Fetch(ctx, c, req)
	if err != nil {
		reason := jauge.ReasonOf(err)
		if reason == jauge.ReasonOther {
			reason = jauge.ReasonNetwork
		}
		return &jauge.Error{Op: op, Reason: reason, Err: err}
	}
	if a.Status < 200 || a.Status > 299 {
		var w wire
		_ = json.Unmarshal(a.Body, &w) // an answer without JSON is judged by its status
		said := refusal(c, a, &w)
		return &jauge.Error{
			Op: op, Reason: reasonOfStatus(a.Status), Status: a.Status, Code: said.Code, RetryAfter: said.RetryAfter, Err: errors.New(said.Text),
		}
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Status: a.Status, Err: fmt.Errorf("the answer is not as documented: %w", err)}
	}
	return nil
}

func reasonOfStatus(status int) jauge.Reason {
	switch {
	case status == http.StatusUnauthorized:
		return jauge.ReasonAuth
	case status == http.StatusForbidden:
		return jauge.ReasonScope
	case status == http.StatusPaymentRequired:
		return jauge.ReasonQuota
	case status == http.StatusNotFound || status == http.StatusGone:
		return jauge.ReasonNotFound
	case status == http.StatusTooManyRequests:
		return jauge.ReasonRateLimited
	case status >= 500:
		return jauge.ReasonServer
	}
	return jauge.ReasonBadRequest
}
