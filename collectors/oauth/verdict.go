package oauth

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxJudged is how much of an answer's body is read to judge it.
const maxJudged = 64 << 10

// verdict tells what an API answer means for the grant, by Provider.Refused; the answer can be read as before.
func verdict(p *Provider, resp *http.Response) Cause {
	if !refused(resp) && (!p.Enveloped || resp.StatusCode != http.StatusOK) {
		return CauseNone
	}
	if p.Refused == nil {
		if resp.StatusCode == http.StatusUnauthorized {
			return CauseTokenRefused
		}
		return CauseNone
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJudged))
	var rest io.Reader = resp.Body
	if err != nil {
		rest = failing{err} // whoever reads on learns it
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), resp.Body}
	return p.Refused(resp.StatusCode, resp.Header, body)
}

// refused tells whether an answer's status can speak of the grant.
func refused(resp *http.Response) bool {
	return resp.StatusCode >= http.StatusBadRequest && resp.StatusCode <= http.StatusForbidden
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// condemns tells whether a cause, if true, means that the access token is no good.
func (c Cause) condemns() bool {
	switch c {
	case CauseTokenRefused, CauseInvalidGrant, CauseExpired, CauseAppGone:
		return true
	case CauseNone, CauseLostInRefresh, CauseServer, CauseNetwork, CauseRateLimited, CauseScope, CauseWrongObject,
		CauseEndsSoon, CauseDisconnected:
	}
	return false
}

// askAgain is how long a grant is not put to the test again because of a refusal.
const askAgain = time.Minute

// asked remembers when grants were put to the test, so that refusals of one account do not make a test each.
type asked struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func newAsked() *asked { return &asked{last: map[string]time.Time{}} }

// may tells whether a grant may be tested now, and then counts it as tested.
func (a *asked) may(grant string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.Sub(a.last[grant]) < askAgain {
		return false
	}
	a.last[grant] = now
	return true
}

func (a *asked) forget(grant string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, grant)
}
