package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"jauge.dev/jauge"
)

const maxMessage = 160 // runes kept of a platform's own sentence

// reasonOfStatus gives the reason for an answer that is no success.
func reasonOfStatus(status int) jauge.Reason {
	switch {
	case status == http.StatusUnauthorized:
		return jauge.ReasonAuth
	case status == http.StatusForbidden:
		return jauge.ReasonScope
	case status == http.StatusNotFound, status == http.StatusGone:
		return jauge.ReasonNotFound
	case status == http.StatusTooManyRequests:
		return jauge.ReasonRateLimited
	case status == http.StatusRequestTimeout, status >= 500:
		return jauge.ReasonServer
	case status >= 400:
		return jauge.ReasonBadRequest
	}
	return jauge.ReasonOther
}

// reasonOf judges a failure without an answer: whatever is not the end of a context is the network's.
func reasonOf(err error) jauge.Reason {
	switch r := jauge.ReasonOf(err); {
	case errors.Is(err, context.Canceled):
		return jauge.ReasonCanceled
	case r != jauge.ReasonOther:
		return r
	}
	return jauge.ReasonNetwork
}

var (
	errorWord  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)
	opaqueWord = regexp.MustCompile(`[A-Za-z0-9_.+/=~-]{20,}`)
)

// statusError makes the error of an answer that is no success. Of the body it keeps the platform's error word and
// its own sentence, the latter cut and without anything that could be a token.
func statusError(resp *http.Response, body []byte) *jauge.Error {
	e := &jauge.Error{Reason: reasonOfStatus(resp.StatusCode), Status: resp.StatusCode}
	if d, ok := RetryAfter(resp.Header, time.Now()); ok {
		e.RetryAfter = d
	}
	var b struct {
		Error       json.RawMessage `json:"error"`
		Message     string          `json:"message"`
		Description string          `json:"error_description"`
	}
	if json.Unmarshal(body, &b) != nil {
		return e
	}
	var word string
	_ = json.Unmarshal(b.Error, &word) // some platforms give an object here: no word then
	sentence := b.Message
	if sentence == "" {
		sentence = b.Description
	}
	switch {
	case errorWord.MatchString(word) && opaqueWord.FindString(word) != word || knownLong(word):
		e.Code = word
	case sentence == "":
		sentence = word
	}
	if s := harmless(sentence, resp.Request); s != "" {
		e.Err = errors.New(s)
	}
	return e
}

// knownLong tells an error word in camel case, such as AuthFactorTokenRequired, from an opaque token of that length.
func knownLong(word string) bool {
	if len(word) > 48 {
		return false
	}
	for _, r := range word {
		if !unicode.IsLetter(r) {
			return false
		}
	}
	return word != ""
}

// harmless cuts a platform's sentence and takes out what could be a secret that it repeats.
func harmless(s string, req *http.Request) string {
	if req != nil {
		for _, word := range strings.Fields(req.Header.Get("Authorization")) {
			if len(word) >= 4 && !strings.EqualFold(word, "bearer") && !strings.EqualFold(word, "basic") {
				s = strings.ReplaceAll(s, word, "…")
			}
		}
	}
	s = opaqueWord.ReplaceAllString(s, "…")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > maxMessage {
		s = string(r[:maxMessage]) + "…"
	}
	return s
}
