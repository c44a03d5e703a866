// Package pagestest holds a Backend in memory, so that pages can be tested, and looked at, without a daemon.
package pagestest

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"jauge.dev/jauge/internal/web/pages"
)

// Fake is a Backend that keeps everything in memory and behaves like the real one: a state counts once and belongs to
// the browser that began it; what was chosen is listed.
type Fake struct {
	mu        sync.Mutex
	accounts  []pages.Account
	platforms []pages.Platform
	warnings  []pages.Warning
	choices   map[string]*pages.Choice
	begun     map[string]begun
	states    int

	// Authorize is the provider's address for browsers; the state is added to it.
	Authorize string
	// Fail, where it is set, is what the named method ("Begin", "Complete", …) gives instead of doing anything.
	Fail map[string]error
	// Calls counts calls by method.
	Calls map[string]int
}

type begun struct{ platform, browser string }

// New makes a Backend without accounts.
func New() *Fake {
	return &Fake{
		platforms: Platforms(), choices: map[string]*pages.Choice{}, begun: map[string]begun{},
		Authorize: "https://provider.example/authorize", Fail: map[string]error{}, Calls: map[string]int{},
	}
}

// Set replaces accounts and warnings.
func (f *Fake) Set(accounts []pages.Account, warnings []pages.Warning) *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accounts, f.warnings = accounts, warnings
	return f
}

// Offer adds what a grant can follow.
func (f *Fake) Offer(grant string, c pages.Choice) *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choices[grant] = &c
	return f
}

func (f *Fake) call(name string) error {
	f.Calls[name]++
	return f.Fail[name]
}

// Accounts lists them.
func (f *Fake) Accounts(context.Context) ([]pages.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.accounts), f.call("Accounts")
}

// Platforms lists them.
func (f *Fake) Platforms(context.Context) ([]pages.Platform, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.platforms), f.call("Platforms")
}

// Warnings lists them.
func (f *Fake) Warnings(context.Context) ([]pages.Warning, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.warnings), f.call("Warnings")
}

// Begin gives the provider's address with a new state.
func (f *Fake) Begin(_ context.Context, platform, input, browser string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("Begin"); err != nil {
		return "", err
	}
	if input == "nowhere.example" {
		return "", &pages.Problem{Kind: "bad_input", Platform: platform, Detail: "no such host"}
	}
	f.states++
	state := "state-" + strings.Repeat("x", f.states)
	f.begun[state] = begun{platform, browser}
	return f.Authorize + "?" + url.Values{"state": {state}, "client_id": {"jauge"}}.Encode(), nil
}

// Complete takes a state once, and the code "good".
func (f *Fake) Complete(_ context.Context, q url.Values, browser string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("Complete"); err != nil {
		return "", err
	}
	b, ok := f.begun[q.Get("state")]
	if !ok {
		return "", &pages.Problem{Kind: "unknown_state"}
	}
	if b.browser != browser {
		return "", &pages.Problem{Kind: "other_browser", Platform: b.platform}
	}
	delete(f.begun, q.Get("state"))
	switch {
	case q.Get("error") != "":
		return "", &pages.Problem{Kind: "denied", Platform: b.platform, Detail: "access_denied"}
	case q.Get("code") != "good":
		return "", &pages.Problem{Kind: "bad_code", Platform: b.platform, Err: errors.New("invalid_grant")}
	}
	grant := "01J" + strings.ToUpper(b.platform)
	if f.choices[grant] == nil {
		c := Choice()
		c.Platform = b.platform
		f.choices[grant] = &c
	}
	return grant, nil
}

// Choice tells what a grant opens.
func (f *Fake) Choice(_ context.Context, grant string) (pages.Choice, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.choices[grant]
	if err := f.call("Choice"); err != nil || c == nil {
		return pages.Choice{}, errors.Join(err, &pages.Problem{Kind: pages.ProblemNotFound})
	}
	out := *c
	out.Subjects = slices.Clone(c.Subjects)
	return out, nil
}

// Follow marks what was chosen and lists it as accounts.
func (f *Fake) Follow(_ context.Context, grant string, keys []string, brand string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.choices[grant]
	if err := f.call("Follow"); err != nil || c == nil {
		return errors.Join(err, &pages.Problem{Kind: pages.ProblemNotFound})
	}
	f.accounts = slices.DeleteFunc(f.accounts, func(a pages.Account) bool { return a.Grant == grant })
	for i := range c.Subjects {
		o := &c.Subjects[i]
		if o.Chosen = slices.Contains(keys, o.Key); o.Chosen {
			f.accounts = append(f.accounts, pages.Account{
				Key: o.Key, Brand: brand, Platform: o.Platform, Title: o.Title, ID: o.Key, Handle: o.Handle, Avatar: o.Avatar,
				Provider: c.Platform, Grant: grant, State: "ok", NextRun: time.Now().Add(time.Minute),
			})
		}
	}
	return nil
}

// Pause pauses.
func (f *Fake) Pause(_ context.Context, key string, paused bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("Pause"); err != nil {
		return err
	}
	for i := range f.accounts {
		if f.accounts[i].Key == key {
			f.accounts[i].Paused = paused
			return nil
		}
	}
	return &pages.Problem{Kind: pages.ProblemNotFound}
}

// Remove removes.
func (f *Fake) Remove(_ context.Context, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("Remove"); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(f.accounts), func(a pages.Account) bool { return a.Key == key })
	if len(left) == len(f.accounts) {
		return &pages.Problem{Kind: pages.ProblemNotFound}
	}
	f.accounts = left
	return nil
}
