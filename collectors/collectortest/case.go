package collectortest

import (
	"net/http"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// Case is a platform under test with a server that stands in for it.
type Case struct {
	Platform collectors.Platform
	// Server makes a healthy server. Each call gives a new one with the same content: the accounts of Handles, all
	// live, each with posts.
	Server func(tb testing.TB) http.Handler
	// Base is the API root under which the server is asked; empty for DefaultBase. Every request goes to Server,
	// whatever its host.
	Base string
	// Handles are at least two that the server knows, as the platform spells them.
	Handles []string
	// Unknown is a well-formed handle that the server does not know.
	Unknown string
	// Refused are handles that CheckHandle refuses.
	Refused []string
	// Concerns tells whether a request is about this account and no other, so that it can be made to fail alone.
	Concerns func(r *http.Request, a jauge.Account) bool
	// Until is the depth that listing goes back to; zero for everything.
	Until time.Time
}

// DefaultBase is the API root of a Case that names none.
const DefaultBase = "http://platform.test"

// Run checks everything that the contract of package collectors asks of a platform and that can be seen from
// outside.
func Run(t *testing.T, c Case) {
	t.Helper()
	if c.Base == "" {
		c.Base = DefaultBase
	}
	if len(c.Handles) < 2 || c.Server == nil || c.Concerns == nil || c.Unknown == "" {
		t.Fatal("case needs Server, Concerns, Unknown and two Handles at least")
	}
	t.Run("platform", func(t *testing.T) { checkPlatform(t, c) })
	t.Run("mapping", func(t *testing.T) { CheckMapping(t, c.Platform.Mapping) })
	t.Run("resolve", func(t *testing.T) { checkResolve(t, c) })
	t.Run("refresh", func(t *testing.T) { checkRefresh(t, c) })
	t.Run("backfill", func(t *testing.T) { checkBackfill(t, c) })
	t.Run("failures", func(t *testing.T) { checkFailures(t, c) })
	t.Run("one_account_fails", func(t *testing.T) { checkOneFails(t, c) })
	t.Run("canceled", func(t *testing.T) { checkCanceled(t, c) })
	t.Run("emit_fails", func(t *testing.T) { checkEmitFails(t, c) })
}
