package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
)

// SealedStore is what the suite asks of a store of sealed records.
type SealedStore interface {
	LoadSealed(ctx context.Context, key string) (jauge.Sealed, error)
	SaveSealed(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	DropSealed(ctx context.Context, key string, rev uint64) error
	Sealed(ctx context.Context, prefix string) iter.Seq2[jauge.Sealed, error]
}

// RunSealed holds a store of sealed records against the contract. fresh gives, for each test, what opens an empty store;
// called again it closes that store and opens it anew, with all that it keeps.
func RunSealed(t *testing.T, fresh func(t *testing.T) (open func() SealedStore)) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func() SealedStore)
	}{
		{"SaveLoadReplaceDrop", sealedLife},
		{"WhatIsNotThere", sealedAbsent},
		{"StaleRevisions", sealedStale},
		{"RevisionsAreNeverGivenTwice", sealedRevisions},
		{"ListIsInOrder", sealedList},
		{"ListWhileItChanges", sealedListChanges},
		{"OneOfManyMakesIt", sealedMakers},
		{"CountingTogether", sealedRace},
		{"AFenceHolds", sealedFence},
		{"EverythingIsThereAfterReopening", sealedReopen},
		{"BigAndStrangeValues", sealedValues},
		{"KeysThatNoStoreKeeps", sealedKeys},
		{"CancelledContext", sealedCancel},
		{"ValuesAreCopied", sealedCopies},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

func save(t *testing.T, s SealedStore, key, value string, rev uint64) uint64 {
	t.Helper()
	next, err := s.SaveSealed(t.Context(), key, []byte(value), rev)
	if err != nil {
		t.Fatalf("save %s at %d: %v", key, rev, err)
	}
	if next <= rev {
		t.Fatalf("save %s at %d gave revision %d", key, rev, next)
	}
	return next
}

func drop(t *testing.T, s SealedStore, key string, rev uint64) {
	t.Helper()
	if err := s.DropSealed(t.Context(), key, rev); err != nil {
		t.Fatalf("drop %s at %d: %v", key, rev, err)
	}
}

func expect(t *testing.T, s SealedStore, key, value string, rev uint64) {
	t.Helper()
	got, err := s.LoadSealed(t.Context(), key)
	if err != nil {
		t.Fatalf("load %s: %v", key, err)
	}
	if diff := cmp.Diff(jauge.Sealed{Key: key, Value: []byte(value), Rev: rev}, got); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", key, diff)
	}
}

func gone(t *testing.T, s SealedStore, key string) {
	t.Helper()
	got, err := s.LoadSealed(t.Context(), key)
	if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Reason != jauge.ReasonNotFound {
		t.Fatalf("load %s, which is not there: %v %v, want a *jauge.Error with not_found", key, got, err)
	}
	if got.Rev != 0 || got.Value != nil {
		t.Fatalf("load %s, which is not there, gave %+v", key, got)
	}
}

func stale(t *testing.T, err error, what string) {
	t.Helper()
	if !errors.Is(err, jauge.ErrStale) {
		t.Fatalf("%s: %v, want ErrStale", what, err)
	}
}

func sealedLife(t *testing.T, open func() SealedStore) {
	s := open()
	first := save(t, s, "grant/01", "one", 0)
	expect(t, s, "grant/01", "one", first)
	second := save(t, s, "grant/01", "two", first)
	expect(t, s, "grant/01", "two", second)
	same := save(t, s, "grant/01", "two", second) // an equal value is a change as well
	expect(t, s, "grant/01", "two", same)
	drop(t, s, "grant/01", same)
	gone(t, s, "grant/01")
}

func sealedAbsent(t *testing.T, open func() SealedStore) {
	s := open()
	gone(t, s, "grant/none")
	_, err := s.SaveSealed(t.Context(), "grant/none", []byte("x"), 7)
	stale(t, err, "replace what is not there")
	err = s.DropSealed(t.Context(), "grant/none", 7)
	stale(t, err, "drop what is not there")
	if jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("drop what is not there: %v, want not_found as well", err)
	}
	for r, err := range s.Sealed(t.Context(), "") {
		t.Errorf("an empty store lists %v %v", r, err)
	}
}

func sealedStale(t *testing.T, open func() SealedStore) {
	s := open()
	old := save(t, s, "k", "old", 0)
	now := save(t, s, "k", "now", old)
	for _, rev := range []uint64{0, old, now + 1} {
		_, err := s.SaveSealed(t.Context(), "k", []byte("wrong"), rev)
		stale(t, err, fmt.Sprintf("save at %d over %d", rev, now))
		err = s.DropSealed(t.Context(), "k", rev)
		stale(t, err, fmt.Sprintf("drop at %d over %d", rev, now))
	}
	expect(t, s, "k", "now", now)
	drop(t, s, "k", now)
	_, err := s.SaveSealed(t.Context(), "k", []byte("wrong"), now)
	stale(t, err, "replace what was dropped")
	stale(t, s.DropSealed(t.Context(), "k", now), "drop what was dropped")
	gone(t, s, "k")
}

// A fencing token must not come back: who holds a revision from before may not pass for somebody who holds it now.
func sealedRevisions(t *testing.T, open func() SealedStore) {
	s := open()
	var last uint64
	for range 5 {
		rev := save(t, s, "lease/a", "x", 0)
		if rev <= last {
			t.Fatalf("made anew it has revision %d, after %d", rev, last)
		}
		last = save(t, s, "lease/a", "y", rev)
		drop(t, s, "lease/a", last)
		s = open()
		_, err := s.SaveSealed(t.Context(), "lease/a", []byte("wrong"), last)
		stale(t, err, "replace what was dropped before")
	}
	gone(t, s, "lease/a")
}

func list(t *testing.T, s SealedStore, prefix string) []string {
	t.Helper()
	out := []string{}
	for r, err := range s.Sealed(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		out = append(out, r.Key+"="+string(r.Value))
		if r.Rev == 0 {
			t.Fatalf("%s is listed at revision 0", r.Key)
		}
	}
	return out
}

func sealedList(t *testing.T, open func() SealedStore) {
	s := open()
	for _, key := range []string{"b/2", "b", "a/1", "b/10", "B/1", "b.1", "b-1", "c/1", "b/1", "bb/1", "b_1"} {
		save(t, s, key, key, 0)
	}
	rev := save(t, s, "b/3", "gone", 0)
	drop(t, s, "b/3", rev)
	for prefix, want := range map[string][]string{
		"":    {"B/1", "a/1", "b", "b-1", "b.1", "b/1", "b/10", "b/2", "b_1", "bb/1", "c/1"},
		"b/":  {"b/1", "b/10", "b/2"},
		"b/1": {"b/1", "b/10"},
		"d/":  {},
		"b.":  {"b.1"},
	} {
		for i, key := range want {
			want[i] = key + "=" + key
		}
		if diff := cmp.Diff(want, list(t, s, prefix)); diff != "" {
			t.Errorf("list %q differs (-want +got):\n%s", prefix, diff)
		}
	}
	many := make([]string, 150)
	for i := range many {
		key := fmt.Sprintf("many/%03d", i)
		many[i] = key + "=v" + strconv.Itoa(i)
		save(t, s, key, "v"+strconv.Itoa(i), 0)
	}
	if diff := cmp.Diff(many, list(t, s, "many/")); diff != "" {
		t.Errorf("the long list differs (-want +got):\n%s", diff)
	}
	for r := range s.Sealed(t.Context(), "many/") { // who stops early is left in peace
		if r.Key != "many/000" {
			t.Errorf("the list begins with %s", r.Key)
		}
		break
	}
}

// Who lists may load and change what is listed.
func sealedListChanges(t *testing.T, open func() SealedStore) {
	s := open()
	const n = 100
	for i := range n {
		save(t, s, fmt.Sprintf("g/%03d", i), "old", 0)
	}
	seen := 0
	for r, err := range s.Sealed(t.Context(), "g/") {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		expect(t, s, r.Key, "old", r.Rev)
		if seen%2 == 0 {
			drop(t, s, r.Key, r.Rev)
		} else {
			save(t, s, r.Key, "new", r.Rev)
		}
	}
	if left := list(t, s, "g/"); seen != n || len(left) != n/2 {
		t.Errorf("%d were listed and %d are left, want %d and %d", seen, len(left), n, n/2)
	}
}

const rivals = 16

// together runs f as so many at once.
func together(f func(i int)) {
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func sealedMakers(t *testing.T, open func() SealedStore) {
	s := open()
	for round := range 5 {
		key := fmt.Sprintf("flow/%d", round)
		var made atomic.Int32
		var winner atomic.Value
		together(func(i int) {
			value := strconv.Itoa(i)
			_, err := s.SaveSealed(t.Context(), key, []byte(value), 0)
			switch {
			case err == nil:
				made.Add(1)
				winner.Store(value)
			case !errors.Is(err, jauge.ErrStale):
				t.Errorf("lost the race with %v, want ErrStale", err)
			}
		})
		got, err := s.LoadSealed(t.Context(), key)
		if err != nil || made.Load() != 1 || string(got.Value) != winner.Load() {
			t.Fatalf("%d made it, the store holds %q of winner %v, %v", made.Load(), got.Value, winner.Load(), err)
		}
		// Only one of many may use it up.
		var used atomic.Int32
		together(func(int) {
			err := s.DropSealed(t.Context(), key, got.Rev)
			switch {
			case err == nil:
				used.Add(1)
			case !errors.Is(err, jauge.ErrStale):
				t.Errorf("lost the race with %v, want ErrStale", err)
			}
		})
		if used.Load() != 1 {
			t.Fatalf("%d used it up", used.Load())
		}
	}
}

func sealedRace(t *testing.T, open func() SealedStore) {
	s := open()
	save(t, s, "counter", "0", 0)
	const each = 10
	together(func(int) {
		for done := 0; done < each; {
			r, err := s.LoadSealed(t.Context(), "counter")
			if err != nil {
				t.Errorf("load: %v", err)
				return
			}
			n, err := strconv.Atoi(string(r.Value))
			if err != nil {
				t.Errorf("half a value: %v", err)
				return
			}
			next, err := s.SaveSealed(t.Context(), "counter", []byte(strconv.Itoa(n+1)), r.Rev)
			switch {
			case errors.Is(err, jauge.ErrStale):
			case err != nil:
				t.Errorf("save: %v", err)
				return
			case next <= r.Rev:
				t.Errorf("revision %d follows %d", next, r.Rev)
				return
			default:
				done++
			}
		}
	})
	if r, err := s.LoadSealed(t.Context(), "counter"); err != nil || string(r.Value) != strconv.Itoa(rivals*each) {
		t.Errorf("counted to %s, want %d: %v", r.Value, rivals*each, err)
	}
}

// Leases are taken, lost to others, and dropped: who holds one that was taken away can do nothing with it.
func sealedFence(t *testing.T, open func() SealedStore) {
	s := open()
	var mu sync.Mutex
	seen := map[uint64]bool{}
	together(func(i int) {
		for range 10 {
			var rev uint64
			if r, err := s.LoadSealed(t.Context(), "lease"); err == nil {
				rev = r.Rev
			}
			got, err := s.SaveSealed(t.Context(), "lease", []byte(strconv.Itoa(i)), rev)
			if errors.Is(err, jauge.ErrStale) {
				continue
			}
			if err != nil {
				t.Errorf("take: %v", err)
				return
			}
			mu.Lock()
			twice := seen[got]
			seen[got] = true
			mu.Unlock()
			if twice {
				t.Errorf("revision %d was given twice", got)
				return
			}
			if err := s.DropSealed(t.Context(), "lease", got); err != nil && !errors.Is(err, jauge.ErrStale) {
				t.Errorf("give back: %v", err)
				return
			}
		}
	})
	if len(seen) == 0 {
		t.Error("nobody ever had it")
	}
}

func sealedReopen(t *testing.T, open func() SealedStore) {
	s := open()
	a := save(t, s, "grant/a", "first", 0)
	a = save(t, s, "grant/a", "kept", a)
	b := save(t, s, "grant/b", "dropped", 0)
	drop(t, s, "grant/b", b)
	s = open()
	expect(t, s, "grant/a", "kept", a)
	gone(t, s, "grant/b")
	if diff := cmp.Diff([]string{"grant/a=kept"}, list(t, s, "")); diff != "" {
		t.Error("what is listed differs (-want +got):\n" + diff)
	}
	if next := save(t, s, "grant/b", "again", 0); next <= b {
		t.Errorf("made anew it has revision %d, after %d", next, b)
	}
	save(t, s, "grant/a", "goes on", a)
}

func sealedValues(t *testing.T, open func() SealedStore) {
	s := open()
	big := make([]byte, jauge.MaxSealed)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(big)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for key, value := range map[string][]byte{"big": big, "every": every, "nothing": {}, "nil": nil, "nul": {0}, "text": []byte("NATS/1.0\r\n\r\n")} {
		rev, err := s.SaveSealed(t.Context(), key, value, 0)
		if err != nil {
			t.Fatalf("save %s: %v", key, err)
		}
		got, err := s.LoadSealed(t.Context(), key)
		if err != nil || got.Rev != rev || !bytes.Equal(got.Value, value) {
			t.Errorf("%s came back with %d bytes at %d, want %d at %d: %v", key, len(got.Value), got.Rev, len(value), rev, err)
		}
	}
	_, err := s.SaveSealed(t.Context(), "bigger", append(big, 0), 0)
	if jauge.ReasonOf(err) != jauge.ReasonBadRequest {
		t.Errorf("more than MaxSealed: %v, want bad_request", err)
	}
	gone(t, s, "bigger")
}

func sealedKeys(t *testing.T, open func() SealedStore) {
	s := open()
	long := string(bytes.Repeat([]byte("k"), 200))
	for _, key := range []string{"a", "grant/01J9Z", "a/b/c-d_e.f", long} {
		save(t, s, key, "x", 0)
	}
	for _, key := range []string{"", ".a", "a.", "a..b", "a b", "a*", "a>", "ä", "a\x00", "a\n", "a:b", "a=b", long + "k"} {
		if _, err := s.SaveSealed(t.Context(), key, []byte("x"), 0); jauge.ReasonOf(err) != jauge.ReasonBadRequest {
			t.Errorf("save %q: %v, want bad_request", key, err)
		}
		gone(t, s, key)
		if err := s.DropSealed(t.Context(), key, 1); !errors.Is(err, jauge.ErrStale) {
			t.Errorf("drop %q: %v, want ErrStale", key, err)
		}
	}
}

func sealedCancel(t *testing.T, open func() SealedStore) {
	s := open()
	rev := save(t, s, "k", "before", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	plain := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, jauge.ErrStale) || jauge.ReasonOf(err) == jauge.ReasonNotFound {
			t.Errorf("%s with a cancelled context: %v", what, err)
		}
	}
	_, err := s.LoadSealed(ctx, "k")
	plain("load", err)
	_, err = s.SaveSealed(ctx, "k", []byte("after"), rev)
	plain("save", err)
	plain("drop", s.DropSealed(ctx, "k", rev))
	n := 0
	for _, err = range s.Sealed(ctx, "") {
		n++
		plain("list", err)
	}
	if n != 1 {
		t.Errorf("a cancelled list gave %d things, want one error", n)
	}
	expect(t, s, "k", "before", rev)
}

func sealedCopies(t *testing.T, open func() SealedStore) {
	s := open()
	value := []byte("abc")
	rev, err := s.SaveSealed(t.Context(), "k", value, 0)
	if err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	got, err := s.LoadSealed(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	got.Value[0] = 'Y'
	for r := range s.Sealed(t.Context(), "") {
		r.Value[0] = 'Z'
	}
	expect(t, s, "k", "abc", rev)
}
