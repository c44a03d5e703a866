package pages

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"

	"jauge.dev/jauge"
)

const (
	atOnce       = 1               // passwords that are checked at a time: each takes as much memory as its hash says
	waiting      = 8               // that may wait for it
	waitPassword = 5 * time.Second // how long they do
)

// passwords checks the admin's password, slowly and one at a time.
type passwords struct {
	hash   jauge.Secret
	limits *limiter
	queue  chan struct{} // who checks or waits
	turn   chan struct{} // who checks

	// What was right once is recognised without the price: Prometheus comes every few seconds. The key is of this
	// process and never leaves it.
	key  []byte
	mu   sync.Mutex
	seen []byte
}

func newPasswords(hash jauge.Secret) *passwords {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return &passwords{hash: hash, limits: newLimiter(), queue: make(chan struct{}, atOnce+waiting), turn: make(chan struct{}, atOnce), key: key}
}

// limitedError says that too many passwords were tried.
type limitedError struct{ wait time.Duration }

// Error says how long to wait.
func (e *limitedError) Error() string { return fmt.Sprintf("too many tries: wait %s", e.wait) }

// check tells whether a password is right; a wrong one costs the client one of its tries.
func (p *passwords) check(ctx context.Context, who netip.Addr, password jauge.Secret) (bool, error) {
	if d := p.limits.take(who); d > 0 {
		return false, &limitedError{d}
	}
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return false, &limitedError{waitPassword}
	}
	wait, cancel := context.WithTimeout(ctx, waitPassword)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-wait.Done():
		return false, &limitedError{waitPassword}
	}
	ok, err := argon2id.ComparePasswordAndHash(password.Reveal(), p.hash.Reveal())
	if err != nil {
		return false, fmt.Errorf("check password: %w", err)
	}
	if ok {
		p.limits.forgive(who)
		p.mu.Lock()
		p.seen = p.digest(password)
		p.mu.Unlock()
	}
	return ok, nil
}

// basic is check for clients that send their password with every request: one that was right before is recognised
// without the price and costs no try. A client without tries left is refused before anything is compared, so that
// guesses are counted here too.
func (p *passwords) basic(ctx context.Context, who netip.Addr, password jauge.Secret) (bool, error) {
	if d := p.limits.blocked(who); d > 0 {
		return false, &limitedError{d}
	}
	if p.knows(password) {
		return true, nil
	}
	return p.check(ctx, who, password)
}

// knows tells whether a password is one that was right before.
func (p *passwords) knows(password jauge.Secret) bool {
	d := p.digest(password)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen != nil && hmac.Equal(d, p.seen)
}

func (p *passwords) digest(password jauge.Secret) []byte {
	m := hmac.New(sha256.New, p.key)
	_, _ = m.Write([]byte(password.Reveal())) // never fails
	return m.Sum(nil)
}
