package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge"
)

var errStore = errors.New("the store did not answer")

// memStore is a store in memory, with compare-and-swap. It is what replicas share.
type memStore struct {
	mu   sync.Mutex
	rev  uint64
	recs map[string]jauge.Sealed
}

func newStore() *memStore { return &memStore{recs: map[string]jauge.Sealed{}} }

func notFound(key string) error {
	return &jauge.Error{Op: "load", Reason: jauge.ReasonNotFound, Err: fmt.Errorf("no record %s", key)}
}

func (s *memStore) LoadSealed(ctx context.Context, key string) (jauge.Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return jauge.Sealed{}, ctx.Err()
	}
	r, ok := s.recs[key]
	if !ok {
		return jauge.Sealed{}, notFound(key)
	}
	r.Value = slices.Clone(r.Value)
	return r, nil
}

func (s *memStore) SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if s.recs[key].Rev != rev {
		return 0, fmt.Errorf("save: %w", jauge.ErrStale)
	}
	s.rev++
	s.recs[key] = jauge.Sealed{Key: key, Value: slices.Clone(value), Rev: s.rev}
	return s.rev, nil
}

func (s *memStore) DropSealed(ctx context.Context, key string, rev uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r, ok := s.recs[key]
	switch {
	case !ok:
		return notFound(key)
	case r.Rev != rev:
		return fmt.Errorf("drop: %w", jauge.ErrStale)
	}
	delete(s.recs, key)
	return nil
}

func (s *memStore) Sealed(_ context.Context, prefix string) iter.Seq2[jauge.Sealed, error] {
	s.mu.Lock()
	all := maps.Clone(s.recs)
	s.mu.Unlock()
	return func(yield func(jauge.Sealed, error) bool) {
		for _, k := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(k, prefix) && !yield(all[k], nil) {
				return
			}
		}
	}
}

// keys lists the keys with a prefix.
func (s *memStore) keys(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for k := range s.recs {
		if strings.HasPrefix(k, prefix) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func (s *memStore) value(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.recs[key].Value)
}

// faultyStore is one vault's way to the store: writes are done or not and nobody knows, others are always first, and the
// vault may be dead.
type faultyStore struct {
	*memStore

	mu      sync.Mutex
	rnd     *rand.Rand
	unknown float64 // part of the writes whose outcome is unknown
	stale   float64 // part of the writes that somebody else is said to have preceded
	writes  int     // so many more writes are done, then it is dead; negative: no end
	dead    bool
	after   func() // called once, after the next write
	saved   int    // records written
	silent  int    // so many next writes are done without a word
}

func faulty(s *memStore, seed uint64) *faultyStore {
	return &faultyStore{memStore: s, rnd: rand.New(rand.NewPCG(seed, 1)), writes: -1}
}

func (f *faultyStore) draw(p float64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return p > 0 && f.rnd.Float64() < p
}

func (f *faultyStore) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

func (f *faultyStore) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func (f *faultyStore) LoadSealed(ctx context.Context, key string) (jauge.Sealed, error) {
	if f.isDead() || f.draw(f.unknown/2) {
		return jauge.Sealed{}, errStore
	}
	return f.memStore.LoadSealed(ctx, key)
}

// spend counts a write.
func (f *faultyStore) spend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writes == 0 {
		f.dead = true
	}
	if f.writes > 0 {
		f.writes--
	}
}

func (f *faultyStore) SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	f.spend()
	switch {
	case f.isDead():
		return 0, errStore
	case f.draw(f.stale):
		return 0, fmt.Errorf("save: %w", jauge.ErrStale)
	case f.draw(f.unknown):
		switch {
		case f.draw(0.3): // done
			_, _ = f.memStore.SaveSealed(ctx, key, value, rev)
		case f.draw(0.4): // done later
			time.AfterFunc(time.Duration(rand.IntN(3000))*time.Millisecond, func() {
				_, _ = f.memStore.SaveSealed(context.Background(), key, value, rev)
			})
		}
		return 0, errStore
	}
	rev, err := f.memStore.SaveSealed(ctx, key, value, rev)
	f.mu.Lock()
	after, quiet := f.after, f.silent > 0
	f.after = nil
	f.saved++
	if quiet {
		f.silent--
	}
	f.mu.Unlock()
	if quiet {
		return 0, errStore
	}
	if after != nil {
		after()
	}
	if f.isDead() {
		return 0, errStore
	}
	return rev, err
}

func (f *faultyStore) DropSealed(ctx context.Context, key string, rev uint64) error {
	f.spend()
	if f.isDead() || f.draw(f.unknown) {
		return errStore
	}
	return f.memStore.DropSealed(ctx, key, rev)
}

func (f *faultyStore) Sealed(ctx context.Context, prefix string) iter.Seq2[jauge.Sealed, error] {
	if f.isDead() || f.draw(f.unknown/2) {
		return func(yield func(jauge.Sealed, error) bool) { yield(jauge.Sealed{}, errStore) }
	}
	return f.memStore.Sealed(ctx, prefix)
}
