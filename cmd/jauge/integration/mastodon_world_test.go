//go:build integration

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mastodon is a Mastodon API server that somebody else wrote, with its state in memory.
type mastodon struct {
	t      *testing.T
	url    string
	domain string // the instance's name in handles; the server stands in its place
	rand   *rand.Rand
	people []*person
	toots  []*toot
}

// person is an account of the server.
type person struct {
	id, name, token string
	follows         map[*person]bool
	boosts          float64 // statuses that are somebody else's: the server counts them among the account's own
}

// toot is a status with everything that happened to it.
type toot struct {
	id               string
	author           *person
	format, language string
	published        time.Time
	parent           *toot
	likes, boosts    map[*person]bool
	deleted          bool
}

func mastodonServer(t *testing.T, seed uint64) *mastodon {
	t.Helper()
	return &mastodon{t: t, url: needEnv(t, "JAUGE_TEST_MASTODON_URL"), domain: "mastodon.example", rand: rand.New(rand.NewPCG(seed, seed))}
}

// do does a call that has to succeed; who may be nil, and into.
func (m *mastodon) do(who *person, method, path string, body, into any) {
	m.t.Helper()
	if err := m.call(who, method, path, body, into); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mastodon) call(who *person, method, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		content = nil
	}
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.url+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if who != nil {
		req.Header.Set("Authorization", "Bearer "+who.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: HTTP %d: %s", method, path, res.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// join makes an account with a name that nobody had before: the server outlives a test.
func (m *mastodon) join(name string) *person {
	m.t.Helper()
	var made struct {
		ID    string `json:"id"`
		Token string `json:"access_token"`
	}
	p := &person{name: fmt.Sprintf("%s_%x", name, time.Now().UnixNano()&0xffffffff), follows: map[*person]bool{}}
	m.do(nil, http.MethodPost, "/api/v1/_mock/dev_user", object{"username": p.name}, &made)
	p.id, p.token = made.ID, made.Token
	m.people = append(m.people, p)
	return p
}

// handle is what stands in the configuration; account is the id in the store.
func (m *mastodon) handle(p *person) string  { return "@" + p.name + "@" + m.domain }
func (m *mastodon) account(p *person) string { return p.id + "@" + m.domain }

func (m *mastodon) write(a *person, format string, about *toot) *toot {
	m.t.Helper()
	s := &toot{author: a, format: format, likes: map[*person]bool{}, boosts: map[*person]bool{}}
	s.language = []string{"en", "fr", "de"}[m.rand.IntN(3)]
	body := object{"status": fmt.Sprintf("a %s, number %d: «ça va?» & <more>", format, len(m.toots)), "language": s.language, "visibility": "public"}
	switch format {
	case "reply":
		s.parent = about
		body["in_reply_to_id"] = about.id
	case "quote":
		body["quoted_status_id"] = about.id
	case "poll":
		body["poll"] = object{"options": []string{"yes", "no"}, "expires_in": 86400}
	case "link":
		body["status"] = fmt.Sprintf("number %d https://example.test/page", len(m.toots))
	}
	var made struct {
		ID        string    `json:"id"`
		CreatedAt time.Time `json:"created_at"`
	}
	m.do(a, http.MethodPost, "/api/v1/statuses", body, &made)
	s.id, s.published = made.ID, made.CreatedAt.UTC()
	m.toots = append(m.toots, s)
	return s
}

func (m *mastodon) like(a *person, s *toot, on bool) {
	m.t.Helper()
	if s.likes[a] == on {
		return
	}
	m.do(a, http.MethodPost, "/api/v1/statuses/"+s.id+map[bool]string{true: "/favourite", false: "/unfavourite"}[on], nil, nil)
	s.likes[a] = on
}

func (m *mastodon) boost(a *person, s *toot, on bool) {
	m.t.Helper()
	if s.boosts[a] == on {
		return
	}
	m.do(a, http.MethodPost, "/api/v1/statuses/"+s.id+map[bool]string{true: "/reblog", false: "/unreblog"}[on], nil, nil)
	s.boosts[a] = on
	a.boosts += map[bool]float64{true: 1, false: -1}[on]
}

func (m *mastodon) follow(a, whom *person, on bool) {
	m.t.Helper()
	if a == whom || a.follows[whom] == on {
		return
	}
	m.do(a, http.MethodPost, "/api/v1/accounts/"+whom.id+map[bool]string{true: "/follow", false: "/unfollow"}[on], nil, nil)
	a.follows[whom] = on
}

func (m *mastodon) withdraw(s *toot) {
	m.t.Helper()
	m.do(s.author, http.MethodDelete, "/api/v1/statuses/"+s.id, nil, nil)
	s.deleted = true
}

func (m *mastodon) someone() *person { return m.people[m.rand.IntN(len(m.people))] }

func (m *mastodon) some(of ...*person) *toot {
	var live []*toot
	for _, s := range m.toots {
		if !s.deleted && (len(of) == 0 || slices.Contains(of, s.author)) {
			live = append(live, s)
		}
	}
	return live[m.rand.IntN(len(live))]
}

// live lets people act at random; the tracked ones write most of the statuses.
func (m *mastodon) live(actions int, tracked ...*person) {
	m.t.Helper()
	formats := []string{"text", "text", "link", "poll"}
	for range actions {
		author := tracked[m.rand.IntN(len(tracked))]
		switch m.rand.IntN(12) {
		case 0, 1:
			m.write(author, formats[m.rand.IntN(len(formats))], nil)
		case 2, 3:
			m.write(m.someone(), "reply", m.some())
		case 4:
			m.write(author, "quote", m.some(tracked...))
		case 5:
			m.follow(m.someone(), m.someone(), true)
		case 6, 7:
			m.boost(m.someone(), m.some(tracked...), true)
		default:
			m.like(m.someone(), m.some(tracked...), true)
		}
	}
}

func count(set map[*person]bool) float64 {
	n := 0.0
	for _, on := range set {
		if on {
			n++
		}
	}
	return n
}

// counters are the numbers that the server must show of a status. It tells no number of quotes, so shares are boosts.
func (m *mastodon) counters(s *toot) map[string]float64 {
	c := map[string]float64{"likes": count(s.likes), "reposts": count(s.boosts), "comments": 0}
	for _, other := range m.toots {
		if other.parent == s && !other.deleted {
			c["comments"]++
		}
	}
	c["shares"] = c["reposts"]
	return c
}

func (m *mastodon) truth() ([]account, []post) {
	var accounts []account
	for _, p := range m.people {
		one := account{id: m.account(p), handle: m.handle(p), following: count(p.follows), posts: p.boosts}
		for _, other := range m.people {
			if other.follows[p] {
				one.followers++
			}
		}
		for _, s := range m.toots {
			if s.author == p && !s.deleted {
				one.posts++
			}
		}
		accounts = append(accounts, one)
	}
	var posts []post
	for _, s := range m.toots {
		one := post{
			id: s.id, account: m.account(s.author), format: s.format, language: s.language, published: s.published,
			counters: m.counters(s), state: "live", permalinkEnd: "/" + s.id,
		}
		if s.deleted {
			one.state = "deleted"
		}
		posts = append(posts, one)
	}
	return accounts, posts
}

// settle compares what the server shows with the truth; it does so at once, there is nothing to wait for.
func (m *mastodon) settle(t *testing.T) {
	t.Helper()
	accounts, posts := m.truth()
	want, got := map[string]any{}, map[string]any{}
	for i, a := range accounts {
		want[a.id] = a
		var answer struct {
			Followers float64 `json:"followers_count"`
			Following float64 `json:"following_count"`
			Statuses  float64 `json:"statuses_count"`
		}
		m.do(nil, http.MethodGet, "/api/v1/accounts/"+m.people[i].id, nil, &answer)
		got[a.id] = account{a.id, a.handle, answer.Followers, answer.Following, answer.Statuses}
	}
	for chunk := range slices.Chunk(posts, 20) {
		q := url.Values{}
		for _, p := range chunk {
			if p.state == "live" {
				want[p.id] = p.counters
			}
			q.Add("id[]", p.id)
		}
		var answer []struct {
			ID         string  `json:"id"`
			Favourites float64 `json:"favourites_count"`
			Reblogs    float64 `json:"reblogs_count"`
			Replies    float64 `json:"replies_count"`
		}
		m.do(nil, http.MethodGet, "/api/v1/statuses?"+q.Encode(), nil, &answer)
		for _, s := range answer {
			got[s.ID] = map[string]float64{"likes": s.Favourites, "reposts": s.Reblogs, "comments": s.Replies, "shares": s.Reblogs}
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(account{})); diff != "" {
		t.Fatalf("the Mastodon server shows something else than was done (-truth +shown):\n%s", diff)
	}
}

// fault adds a rule by which the server misbehaves, for so many calls whose path fits; the rule ends with the test.
func (m *mastodon) fault(t *testing.T, path string, calls int, effect object) {
	t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	m.do(nil, http.MethodPost, "/api/v1/_mock/faults", object{"match": object{"path": path}, "effect": effect, "count": calls}, &made)
}

// faultsLeft counts the rules that are not used up.
func (m *mastodon) faultsLeft(t *testing.T) int {
	t.Helper()
	var rules any
	m.do(nil, http.MethodGet, "/api/v1/_mock/faults", nil, &rules)
	if wrapped, ok := rules.(object); ok {
		rules = wrapped["rules"]
	}
	list, ok := rules.([]any)
	if !ok {
		t.Fatalf("list of fault rules: %v", rules)
	}
	return len(list)
}

func (m *mastodon) clearFaults(t *testing.T) {
	t.Helper()
	req, err := http.NewRequest(http.MethodDelete, m.url+"/api/v1/_mock/faults", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}
