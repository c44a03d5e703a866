package mastofake

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Config says what server this is. The zero value of each part is the usual of a current Mastodon.
type Config struct {
	// Domain is the part after the @ in handles; "mastodon.example" if empty.
	Domain string
	// WebDomain is the host that serves the API where it is another than Domain, which then answers nothing but
	// WebFinger, by a redirect.
	WebDomain string
	// Minor is the version 4.Minor; 0 is 4.5. Batches came with 4.3, quotes_count with 4.5.
	Minor int
	// StringCounts writes counters in quotes, as some other software does.
	StringCounts bool
	// NullQuotes writes null for quotes_count where it is 0.
	NullQuotes bool
	// HideFollowers writes -1 for followers_count, as a setting of some servers does.
	HideFollowers bool
	// Private refuses every reader without a login.
	Private bool
	// NoWebFinger answers 404 there.
	NoWebFinger bool
	// KeepReblogs ignores exclude_reblogs.
	KeepReblogs bool
	// NoLink leaves out the Link header, as a proxy might.
	NoLink bool
	// LinkRoot begins the addresses in Link headers; empty for https and the API's host.
	LinkRoot string
	// Calls is how many calls are admitted in 5 minutes, with a cursor in 15; 0 for no limit and no headers.
	Calls int
	// Now tells the time for rate limits; nil for time.Now.
	Now func() time.Time
}

// Counts are a post's counters.
type Counts struct{ Favourites, Replies, Reblogs, Quotes int32 }

// Post is what is published.
type Post struct {
	At         time.Time // of publication; also makes the id, so posts of one account need instants of their own
	Text       string    // HTML; empty for a short standard text
	Visibility string    // empty is public
	Language   string
	ReplyTo    string // the id of a status
	Media      []string
	Poll       bool
	Card       bool
	Quote      bool
	Reblog     bool   // a boost of somebody else's post
	CreatedAt  string // written instead of At where it is not empty
	Counts     Counts
}

// post is the compact form; what few posts have stands in extra.
type post struct {
	id     uint64
	counts Counts
	extra  *Post
}

func (p *post) at() time.Time { return time.UnixMilli(int64(p.id >> 16)).UTC() } //nolint:gosec // made from one

type account struct {
	id, name             string
	followers, following int64
	suspended, removed   bool
	gone                 bool
	movedTo              string
	posts                []post // ascending by id
}

// Server is a fake server. It is safe for use by several goroutines.
type Server struct {
	cfg Config

	mu       sync.Mutex
	byID     map[string]*account
	byName   map[string]*account
	owners   map[uint64]*account
	nextID   uint64
	faults   []*Fault
	calls    map[string]int
	windows  [2]window
	accounts []*account
	// Fill made so many accounts from this position on.
	filledFrom, filled int
}

var _ http.Handler = (*Server)(nil)

// New makes a server without accounts.
func New(cfg Config) *Server {
	if cfg.Domain == "" {
		cfg.Domain = "mastodon.example"
	}
	if cfg.WebDomain == "" {
		cfg.WebDomain = cfg.Domain
	}
	if cfg.Minor == 0 {
		cfg.Minor = 5
	}
	if cfg.LinkRoot == "" {
		cfg.LinkRoot = "https://" + cfg.WebDomain
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{
		cfg: cfg, byID: map[string]*account{}, byName: map[string]*account{}, owners: map[uint64]*account{},
		calls: map[string]int{},
	}
}

// firstID is an id of 18 digits, more than a float64 holds exactly.
const firstID = 109440137734600341

// AddAccount makes an account and returns its id.
func (s *Server) AddAccount(name string, followers, following int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(name, followers, following).id
}

func (s *Server) add(name string, followers, following int64) *account {
	a := &account{
		id: strconv.FormatUint(firstID+s.nextID, 10), name: name, followers: followers, following: following,
	}
	s.nextID++
	s.byID[a.id], s.byName[name] = a, a
	s.accounts = append(s.accounts, a)
	return a
}

// Publish makes a post of an account and returns its id, which is of the instant of publication, as on a real
// server.
func (s *Server) Publish(name string, p Post) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byName[name]
	c := post{id: s.stamp(p.At), counts: p.Counts}
	p.Counts = Counts{}
	if len(p.Media) > 0 || p.Text != "" || p.Visibility != "" || p.Language != "" || p.ReplyTo != "" || p.Poll ||
		p.Card || p.Quote || p.Reblog || p.CreatedAt != "" {
		c.extra = &p
	}
	s.insert(a, c)
	return strconv.FormatUint(c.id, 10)
}

// stamp makes an id nobody has.
func (s *Server) stamp(at time.Time) uint64 {
	id := uint64(at.UnixMilli()) << 16 //nolint:gosec // after 1970
	for s.ownerOf(id) != nil {
		id++
	}
	return id
}

// ownerOf finds the account of a post that is there. Posts made by Fill stand in no map: their id tells the account.
func (s *Server) ownerOf(id uint64) *account {
	if a := s.owners[id]; a != nil {
		return a
	}
	n := int(id & idMask) //nolint:gosec // 16 bits
	if n >= s.filled {
		return nil
	}
	a := s.accounts[s.filledFrom+n]
	if _, ok := slices.BinarySearchFunc(a.posts, id, comparePost); !ok {
		return nil
	}
	return a
}

func (s *Server) insert(a *account, p post) {
	s.owners[p.id] = a
	i, _ := slices.BinarySearchFunc(a.posts, p.id, comparePost)
	a.posts = slices.Insert(a.posts, i, p)
}

func comparePost(p post, id uint64) int {
	switch {
	case p.id < id:
		return -1
	case p.id > id:
		return 1
	}
	return 0
}

// find gives a post that is there, under lock.
func (s *Server) find(id string) (*account, *post) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil, nil
	}
	a := s.ownerOf(n)
	if a == nil {
		return nil, nil
	}
	i, ok := slices.BinarySearchFunc(a.posts, n, comparePost)
	if !ok {
		return nil, nil
	}
	return a, &a.posts[i]
}

// Count adds to a post's counters.
func (s *Server) Count(id string, by Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, p := s.find(id); p != nil {
		p.counts.Favourites += by.Favourites
		p.counts.Replies += by.Replies
		p.counts.Reblogs += by.Reblogs
		p.counts.Quotes += by.Quotes
	}
}

// Delete takes a post away.
func (s *Server) Delete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, p := s.find(id)
	if p == nil {
		return
	}
	n := p.id
	a.posts = slices.DeleteFunc(a.posts, func(p post) bool { return p.id == n })
	delete(s.owners, n)
}

// Follow adds to an account's followers.
func (s *Server) Follow(name string, by int64) {
	s.change(name, func(a *account) { a.followers += by })
}

// Move sets where an account has moved, user@domain or a user of this server; empty takes it back.
func (s *Server) Move(name, to string) { s.change(name, func(a *account) { a.movedTo = to }) }

// Suspend hides an account and its posts, or shows them again.
func (s *Server) Suspend(name string, yes bool) {
	s.change(name, func(a *account) { a.suspended = yes })
}

// Gone makes the account answer 410, as servers before 3.3 do for a suspended one.
func (s *Server) Gone(name string, yes bool) { s.change(name, func(a *account) { a.gone = yes }) }

// Remove makes as if the account had never been.
func (s *Server) Remove(name string) { s.change(name, func(a *account) { a.removed = true }) }

func (s *Server) change(name string, f func(*account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.byName[name])
}

// idMask is the part of an id that is not its instant.
const idMask = 1<<16 - 1

// Fill makes accounts user0, user1, … with so many posts each, one every interval back from newest. It is for many:
// at most 65,536 accounts, once per server.
func (s *Server) Fill(accounts, posts int, newest time.Time, every time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if accounts > idMask+1 || s.filled > 0 {
		return fmt.Errorf("fill fake server with %d accounts: at most %d, and once", accounts, idMask+1)
	}
	from := len(s.accounts)
	for n := range accounts {
		a := s.add(fmt.Sprintf("user%d", n), int64(1000+n), int64(n%300))
		a.posts = make([]post, 0, posts)
		for i := range posts {
			at := newest.Add(-time.Duration(posts-1-i) * every)
			a.posts = append(a.posts, post{
				id:     uint64(at.UnixMilli())<<16 + uint64(n),                           //nolint:gosec // after 1970
				counts: Counts{int32(n % 50), int32(i % 7), int32(i % 11), int32(i % 3)}, //nolint:gosec // small
			})
		}
	}
	s.filledFrom, s.filled = from, accounts
	return nil
}

// Calls tells how many calls of each kind were answered since the last time this was asked: account, lookup, list,
// batch, status, webfinger, instance, other.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls
	s.calls = map[string]int{}
	return c
}
