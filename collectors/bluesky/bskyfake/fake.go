// Package bskyfake stands in for Bluesky's AppView: an http.Handler over accounts, posts and counters that a test, a
// benchmark or a demonstration changes as it likes. It answers the public calls that jauge makes in the shapes and
// with the refusals that a real AppView was seen to give. Accounts can be generated, so that ten thousand of them with
// a hundred posts each cost no more memory than their names.
package bskyfake

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// State is how the AppView sees an account.
type State string

// The states.
const (
	Live        State = ""
	TakenDown   State = "AccountTakedown"
	Deactivated State = "AccountDeactivated"
	Deleted     State = "InvalidRequest"
)

// Counts are the counters of a post.
type Counts struct{ Likes, Replies, Reposts, Quotes, Bookmarks int64 }

// Post is a post to be made.
type Post struct {
	Key       string         // record key; empty for one of the fake's own
	At        time.Time      // when it was indexed; zero for an hour after the account's newest
	CreatedAt string         // as its author wrote it; empty for At
	Text      string         //
	Langs     []string       //
	Reply     bool           // it answers another post
	Embed     map[string]any // of the record, with its $type
	Counts    Counts         //
	Without   []string       // counters that the answer leaves out, by wire name
}

// Fault is what goes wrong with one request; the zero value is nothing.
type Fault struct {
	Status   int               // answer this status with Body instead
	Header   map[string]string //
	Body     string            //
	Truncate bool              // answer half of the document
	Abort    bool              // break the connection
	Stall    bool              // answer nothing until the caller gives up
}

// Fake is the server. It is safe for use by several goroutines.
type Fake struct {
	mu       sync.Mutex
	byDID    map[string]*account
	byHandle map[string]*account
	rounds   int64
	calls    map[string]int
	fault    func(r *http.Request) Fault
	limit    int
	window   time.Duration
	spent    int
	resets   time.Time
}

// account holds generated posts (numbered from 0, the oldest) and made ones.
type account struct {
	did, handle string
	state       State
	followers   int64
	follows     int64
	made        []*post
	reposts     []repost
	pinned      string

	generated int
	newest    time.Time
	step      time.Duration
	changed   map[int]*post // generated posts that are no longer as generated
}

type post struct {
	Post
	uri     string
	deleted bool
	hidden  bool // left out of feeds and batches, though it is there
}

type repost struct {
	uri string
	at  time.Time
}

// New makes an empty network.
func New() *Fake {
	return &Fake{byDID: map[string]*account{}, byHandle: map[string]*account{}, calls: map[string]int{}}
}

// DID is the id of the account that is added with this handle.
func DID(handle string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	var b strings.Builder
	b.WriteString("did:plc:")
	for i := range 2 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s", i, handle)
		for sum, n := h.Sum64(), 0; n < 12; n++ {
			b.WriteByte(letters[sum%32])
			sum >>= 5
		}
	}
	return b.String()
}

// Add makes an account without posts and returns its DID.
func (f *Fake) Add(handle string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := &account{did: DID(handle), handle: handle, followers: 100, follows: 10}
	f.byDID[a.did], f.byHandle[handle] = a, a
	return a.did
}

// Generate makes an account with n posts, the newest at an instant, the others each a step older; followers and
// counters follow from the handle. Nothing is kept of the posts. It returns the DID.
func (f *Fake) Generate(handle string, n int, newest time.Time, step time.Duration) string {
	did := f.Add(handle)
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.byDID[did]
	a.generated, a.newest, a.step = n, newest.UTC().Truncate(time.Millisecond), max(step.Truncate(time.Millisecond), time.Millisecond)
	a.followers = int64(100 + mix(did, -1)%10_000) //nolint:gosec // below 10,100
	return did
}

// Advance lets time pass: the counters of generated posts grow.
func (f *Fake) Advance() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rounds++
}

// Post makes a post and returns its at-URI.
func (f *Fake) Post(did string, p Post) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.byDID[did]
	if p.At.IsZero() {
		p.At = a.newestAt().Add(time.Hour)
	}
	p.At = p.At.UTC().Truncate(time.Millisecond)
	if p.Key == "" {
		p.Key = fmt.Sprintf("3made%08d", len(a.made))
	}
	made := &post{Post: p, uri: uriOf(did, p.Key)}
	a.made = append(a.made, made)
	return made.uri
}

// PostURI is the at-URI of a generated post, numbered from 0, the oldest.
func PostURI(did string, n int) string { return uriOf(did, fmt.Sprintf("3gen%09d", n)) }

func uriOf(did, key string) string { return "at://" + did + "/app.bsky.feed.post/" + key }

// SetCounts replaces a post's counters.
func (f *Fake) SetCounts(uri string, c Counts) { f.change(uri, func(p *post) { p.Counts = c }) }

// Delete removes a post.
func (f *Fake) Delete(uri string) { f.change(uri, func(p *post) { p.deleted = true }) }

// Restore brings a removed or omitted post back.
func (f *Fake) Restore(uri string) {
	f.change(uri, func(p *post) { p.deleted, p.hidden = false, false })
}

// Omit leaves a post out of feeds and batches; a single read still finds it.
func (f *Fake) Omit(uri string) { f.change(uri, func(p *post) { p.hidden = true }) }

func (f *Fake) change(uri string, how func(p *post)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, p := f.find(uri)
	if p == nil {
		return
	}
	if n, ok := generatedNumber(p.Key); ok && a.changed[n] == nil && n < a.generated {
		if a.changed == nil {
			a.changed = map[int]*post{}
		}
		a.changed[n] = p
	}
	how(p)
}

// Repost lets an account repost a post of anybody's.
func (f *Fake) Repost(did, uri string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.byDID[did]
	a.reposts = append(a.reposts, repost{uri, at.UTC().Truncate(time.Millisecond)})
}

// Pin puts a post of the account's own on top of its feed, though it stands further down too.
func (f *Fake) Pin(did, uri string) { f.with(did, func(a *account) { a.pinned = uri }) }

// SetState takes an account down, deactivates or deletes it, or brings it back.
func (f *Fake) SetState(did string, s State) { f.with(did, func(a *account) { a.state = s }) }

// SetFollowers replaces an account's numbers of followers and of accounts that it follows.
func (f *Fake) SetFollowers(did string, followers, follows int64) {
	f.with(did, func(a *account) { a.followers, a.follows = followers, follows })
}

// Rename gives an account another handle.
func (f *Fake) Rename(did, handle string) {
	f.with(did, func(a *account) {
		delete(f.byHandle, a.handle)
		a.handle = handle
		f.byHandle[handle] = a
	})
}

func (f *Fake) with(did string, how func(a *account)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.byDID[did]; a != nil {
		how(a)
	}
}

// Inject asks before each request what is to go wrong with it; nil for nothing.
func (f *Fake) Inject(fault func(r *http.Request) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// FailNext lets the next n requests fail in the same way.
func (f *Fake) FailNext(n int, fault Fault) {
	f.Inject(func(*http.Request) Fault { // asked under the lock of the fake
		if n--; n < 0 {
			return Fault{}
		}
		return fault
	})
}

// Limit sends rate-limit headers and refuses more than so many calls in a window with 429, as real servers do:
// without Retry-After.
func (f *Fake) Limit(calls int, window time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit, f.window = calls, window
}

// Calls tells how often each method was asked, since the last call of ResetCalls.
func (f *Fake) Calls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

// Total is the number of calls of all methods.
func (f *Fake) Total() int {
	n := 0
	for _, c := range f.Calls() {
		n += c
	}
	return n
}

// ResetCalls forgets the calls made so far.
func (f *Fake) ResetCalls() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.calls)
}

func (a *account) newestAt() time.Time {
	at := a.newest
	for _, p := range a.made {
		if p.At.After(at) {
			at = p.At
		}
	}
	if at.IsZero() {
		at = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return at
}

// sorted gives the made posts' positions newest first, for the tests' own use of order.
func (a *account) sorted() []item {
	items := make([]item, 0, len(a.made)+len(a.reposts)+a.generated)
	for _, p := range a.made {
		items = append(items, item{at: p.sortAt(), uri: p.uri, post: p})
	}
	for _, r := range a.reposts {
		items = append(items, item{at: r.at, uri: r.uri, reposted: true})
	}
	for n := range a.generated {
		items = append(items, item{at: a.at(n), uri: PostURI(a.did, n), number: n})
	}
	slices.SortFunc(items, func(x, y item) int { return -x.compare(y.at, y.uri) })
	return items
}
