package pages

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many passwords may be tried. The bound over all clients is wide: it is there for the processor's sake, and a
// narrow one would let anybody lock the admin out.
const (
	clientEvery = 12 * time.Second
	clientBurst = 5
	allEvery    = 500 * time.Millisecond
	allBurst    = 30
	mostClients = 4096 // that are remembered; the one that was seen longest ago is forgotten first
)

// limiter bounds tries for each client and over all of them.
type limiter struct {
	mu      sync.Mutex
	all     *rate.Limiter
	clients map[netip.Prefix]*list.Element
	order   *list.List // of *tries, seen longest ago first
}

type tries struct {
	who  netip.Prefix
	rate *rate.Limiter
}

func newLimiter() *limiter {
	return &limiter{all: rate.NewLimiter(rate.Every(allEvery), allBurst), clients: map[netip.Prefix]*list.Element{}, order: list.New()}
}

// blocked says how long a client must wait that has no try left; 0 where it has one.
func (l *limiter) blocked(who netip.Addr) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	own := l.of(bucket(who)).ReserveN(now, 1)
	defer own.CancelAt(now)
	return own.DelayFrom(now)
}

// take counts one try of a client; where it has none left it says how long to wait. A client that has none left pays
// nothing for being refused, so that one which goes on trying gets in as soon as one that waits.
func (l *limiter) take(who netip.Addr) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	own := l.of(bucket(who)).ReserveN(now, 1)
	if d := own.DelayFrom(now); d > 0 {
		own.CancelAt(now)
		return d
	}
	all := l.all.ReserveN(now, 1)
	if d := all.DelayFrom(now); d > 0 {
		all.CancelAt(now) // the client's own stays counted: see passwords.basic
		return d
	}
	return 0
}

// forgive forgets the tries of a client that knew the password.
func (l *limiter) forgive(who netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.clients[bucket(who)]; ok {
		l.order.Remove(e)
		delete(l.clients, bucket(who))
	}
}

func (l *limiter) of(p netip.Prefix) *rate.Limiter {
	if e, ok := l.clients[p]; ok {
		l.order.MoveToBack(e)
		return e.Value.(*tries).rate //nolint:forcetypeassert // the list holds nothing else
	}
	if l.order.Len() >= mostClients {
		oldest := l.order.Remove(l.order.Front()).(*tries) //nolint:forcetypeassert // as above
		delete(l.clients, oldest.who)
	}
	t := &tries{who: p, rate: rate.NewLimiter(rate.Every(clientEvery), clientBurst)}
	l.clients[p] = l.order.PushBack(t)
	return t.rate
}
