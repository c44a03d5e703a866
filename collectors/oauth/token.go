package oauth

import (
	"bytes"
	"cmp"
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

	"jauge.dev/jauge"
)

const (
	maxAnswer   = 1 << 20 // a token answer is a few kilobytes
	maxSaid     = 300     // runes that are kept of a provider's own words
	maxLifetime = 100 * 365 * 24 * time.Hour
	// maxRetryAfter keeps a mad header from overflowing a duration.
	maxRetryAfter = 31 * 24 * time.Hour
)

// Answer is a complete answer of an authorization server.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Fetch sends a request of a dialect once, follows no redirect, and reads the whole answer, of whatever status. Its error
// is fit to be shown and says by ErrNotSent that nothing was spent. An answer that is cut off, or longer than 1 MiB, is
// an error: it may have spent what was sent.
func Fetch(ctx context.Context, c *Call, req *http.Request) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	hc := http.Client{}
	if c.HTTP != nil {
		hc = *c.HTTP
	}
	// A redirected POST may be sent a second time with all that it spends, and to somebody else.
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := Send(&hc, req.WithContext(ctx))
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("read answer of %s: %w", req.URL.Host, Scrub(err))
	}
	if len(body) > maxAnswer {
		return Answer{}, fmt.Errorf("read answer of %s: it is longer than %d bytes", req.URL.Host, maxAnswer)
	}
	return Answer{resp.StatusCode, resp.Header, body}, nil
}

// FetchToken sends a token request and reads the token out of the answer, as ReadToken does. secrets are blotted out of
// what an error says: whatever the request held.
func FetchToken(ctx context.Context, c *Call, req *http.Request, secrets ...jauge.Secret) (*Token, error) {
	a, err := Fetch(ctx, c, req)
	if err != nil {
		return nil, Blot(err, secrets...)
	}
	t, err := ReadToken(c, a)
	if err != nil {
		return nil, Blot(err, secrets...)
	}
	return t, nil
}

// Blot takes secrets out of what an error says, also where an address has them escaped. A *TokenError stays one, and
// errors.Is and errors.As find what they found; an error that holds none of them stays as it is.
func Blot(err error, secrets ...jauge.Secret) error {
	if err == nil {
		return nil
	}
	if t, ok := errors.AsType[*TokenError](err); ok {
		t.Text, t.Code = blot(t.Text, secrets), blot(t.Code, secrets)
	}
	text := err.Error()
	if clean := blot(text, secrets); clean != text {
		return &blotted{clean, err}
	}
	return err
}

type blotted struct {
	text string
	err  error
}

func (b *blotted) Error() string { return b.text }

// Is and As look into the cause; Unwrap is left out, so that nobody prints it.
func (b *blotted) Is(target error) bool { return errors.Is(b.err, target) }
func (b *blotted) As(target any) bool   { return errors.As(b.err, target) }

func blot(text string, secrets []jauge.Secret) string {
	for _, s := range secrets {
		raw := s.Reveal()
		if len(raw) < 4 {
			continue // too short to be told from a word
		}
		for _, form := range []string{raw, url.QueryEscape(raw), url.PathEscape(raw)} {
			text = strings.ReplaceAll(text, form, s.String())
		}
	}
	return text
}

// wire is a token answer with every spelling that is known of its fields. Numbers come as numbers and as strings, ids
// exceed what a float can hold: everything is kept as it was written.
type wire struct {
	Access         json.RawMessage `json:"access_token"`
	Type           json.RawMessage `json:"token_type"`
	ExpiresIn      json.RawMessage `json:"expires_in"`
	Refresh        json.RawMessage `json:"refresh_token"`
	RefreshEnds    json.RawMessage `json:"refresh_token_expires_in"` // LinkedIn, Pinterest, Google
	RefreshEndsToo json.RawMessage `json:"refresh_expires_in"`       // TikTok
	Scope          json.RawMessage `json:"scope"`
	Sub            json.RawMessage `json:"sub"`
	OpenID         json.RawMessage `json:"open_id"`
	UserID         json.RawMessage `json:"user_id"`
	Error          json.RawMessage `json:"error"`
	ErrorText      json.RawMessage `json:"error_description"`
	Code           json.RawMessage `json:"code"` // Pinterest, TikTok Business: an error without the word
	Message        json.RawMessage `json:"message"`
}

// ReadToken reads a token answer (RFC 6749 section 5.1) tolerantly: lifetimes as numbers, floats or strings; scopes parted
// by blanks or commas or in a list; refresh_token_expires_in and refresh_expires_in; sub, open_id and user_id; and it
// applies the provider's Life and MaxLife. keep names further fields for Token.Extra.
//
// An answer that names an error (also with status 200), and any status beyond 2xx, gives a *TokenError. A success that
// cannot be read gives another error: it may have spent what was sent.
func ReadToken(c *Call, a Answer, keep ...string) (*Token, error) {
	var w wire
	derr := json.Unmarshal(a.Body, &w)
	good := a.Status >= 200 && a.Status < 300
	if !good || derr == nil && present(w.Error) {
		return nil, refusal(c, a, &w)
	}
	if derr != nil {
		return nil, errors.New("read token answer: it is no JSON") // the decoder's words may quote the body
	}
	access := word(w.Access)
	if access == "" {
		return nil, errors.New("read token answer: it has no access_token")
	}
	now := c.Now().UTC()
	t := &Token{
		Access: jauge.Secret(access), Refresh: jauge.Secret(word(w.Refresh)), Type: word(w.Type), Issued: now,
		Expiry: c.Provider.Renewal.Expiry(now, word(w.ExpiresIn)), Scopes: scopes(w.Scope),
		Subject: cmp.Or(word(w.Sub), word(w.OpenID), word(w.UserID)), Extra: extra(a.Body, keep),
	}
	if life, ok := seconds(cmp.Or(word(w.RefreshEnds), word(w.RefreshEndsToo))); ok && t.Refresh != "" {
		t.RefreshExpiry = now.Add(life)
	}
	return t, nil
}

// Expiry is when an access token ends, given expires_in as the answer spells it; empty, zero or no number: the answer does
// not tell. It is the zero time where the token does not end, and never later than MaxLife allows.
func (r Renewal) Expiry(now time.Time, expiresIn string) time.Time {
	life, told := seconds(expiresIn)
	if !told {
		life = r.Life
	}
	if r.MaxLife > 0 && life > r.MaxLife {
		life = cmp.Or(r.Life, r.MaxLife)
	}
	if life <= 0 {
		return time.Time{}
	}
	return now.Add(life)
}

// seconds reads a lifetime: "3600", "3600.0"; ok is false where it says nothing that can be believed.
func seconds(s string) (d time.Duration, ok bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f > 0) { // NaN is not greater either
		return 0, false
	}
	if f > maxLifetime.Seconds() {
		return maxLifetime, true
	}
	return time.Duration(f * float64(time.Second)), true
}

// refusal makes an error of an answer that is no token.
func refusal(c *Call, a Answer, w *wire) *TokenError {
	e := &TokenError{Status: a.Status, RetryAfter: retryAfter(a.Header, c.Now())}
	e.Code, e.Text = word(w.Error), cmp.Or(word(w.ErrorText), word(w.Message))
	if e.Code == "" && present(w.Error) { // an object: Meta and Google's APIs
		var o struct {
			Code, Subcode, Message, Status, Type json.RawMessage
			ErrorSubcode                         json.RawMessage `json:"error_subcode"`
		}
		if json.Unmarshal(w.Error, &o) == nil {
			e.Code, e.Text = word(o.Code), word(o.Message)
			if sub := cmp.Or(word(o.ErrorSubcode), word(o.Subcode)); sub != "" && sub != "0" {
				e.Code += "/" + sub
			}
			e.Code = cmp.Or(e.Code, word(o.Status), word(o.Type))
		}
	}
	e.Code = cut(cmp.Or(e.Code, word(w.Code)))
	e.Text = cut(cmp.Or(e.Text, http.StatusText(a.Status)))
	return e
}

// retryAfter reads the header in both of its forms (RFC 9110 section 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	d, ok := seconds(v)
	if !ok {
		at, err := http.ParseTime(v)
		if err != nil {
			return 0
		}
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// present tells whether a field stands in the answer and says something: an empty string and null do not.
func present(raw json.RawMessage) bool {
	s := string(bytes.TrimSpace(raw))
	return s != "" && s != "null" && s != `""` && s != "{}" && s != "false" && s != "0"
}

// word reads a string, or a number as it is written; anything else is empty.
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s)
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// scopes parts a scope field by blanks and commas; nil where the answer has none.
func scopes(raw json.RawMessage) []string {
	text := word(raw)
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		text = strings.Join(list, " ")
	}
	found := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '+' })
	if len(found) == 0 {
		return nil
	}
	return found
}

// extra keeps the named fields of an answer.
func extra(body []byte, keep []string) map[string]string {
	if len(keep) == 0 {
		return nil
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(body, &all) != nil {
		return nil
	}
	out := map[string]string{}
	for _, k := range keep {
		if v := word(all[k]); v != "" {
			out[k] = v
		}
	}
	return out
}

// cut bounds a provider's own words and keeps them on one line.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > maxSaid {
		return string(r[:maxSaid]) + "…"
	}
	return s
}
