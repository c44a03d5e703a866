package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/rest"
	"jauge.dev/jauge/internal/web/pages"
)

// site is what the pages show and do.
type site struct{ a *App }

var _ pages.Backend = site{}

// titles are platforms as people call them.
var titles = map[jauge.Platform]string{
	jauge.Bluesky: "Bluesky", jauge.Mastodon: "Mastodon", jauge.Facebook: "Facebook", jauge.Instagram: "Instagram",
	jauge.Threads: "Threads", jauge.LinkedIn: "LinkedIn", jauge.X: "X", jauge.TikTok: "TikTok", jauge.YouTube: "YouTube",
	jauge.Pinterest: "Pinterest",
}

func titleOf(p jauge.Platform) string { return cmp.Or(titles[p], string(p)) }

// Accounts lists what is followed: the file's accounts and the connected ones.
func (s site) Accounts(ctx context.Context) ([]pages.Account, error) {
	rows, err := s.a.accountRows(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]pages.Account, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if !r.Removed.IsZero() {
			continue
		}
		p := jauge.Platform(r.Platform)
		acc := pages.Account{
			Key: subjectKey(p, cmp.Or(r.Account, r.Handle)), Brand: r.Brand, Competitor: r.Competitor, Platform: r.Platform,
			Title: titleOf(p), ID: r.Account, Handle: r.Handle, Avatar: r.avatar, Provider: r.provider, Grant: r.grant,
			State: r.State, Cause: r.Cause, Since: r.Since, Advice: oauth.Advice(oauth.State(r.State), oauth.Cause(r.Cause)),
			ExpiresAt: r.ExpiresAt, Account: r.AccountState, LastSuccess: r.LastSuccess, NextRun: r.NextRun, Failure: r.Failure,
			Paused: r.paused, FromConfig: r.fromConfig, NoCollector: s.a.clients[p] == nil,
		}
		if hc := s.a.clients[p]; hc != nil {
			if q, ok := rest.QuotaOf(hc); ok {
				acc.Quota = pages.Quota{Limit: q.Limit, Remaining: q.Remaining, Reset: q.Reset}
			}
		}
		out = append(out, acc)
	}
	return out, nil
}

// Platforms lists what can be connected.
func (s site) Platforms(ctx context.Context) ([]pages.Platform, error) {
	grants, err := s.a.grants(ctx)
	if err != nil {
		return nil, err
	}
	var out []pages.Platform
	for _, p := range s.a.providers {
		t := pages.Platform{
			Name: p.Name, Title: p.Title, Ask: string(p.Ask), Docs: p.Docs, Hint: p.Hint, Scopes: p.Scopes, Callback: redirectOf(s.a.cfg, p),
		}
		for _, o := range p.Platforms {
			t.Opens = append(t.Opens, titleOf(o))
		}
		t.Missing = s.a.missing(p)
		t.Configured = len(t.Missing) == 0
		for _, g := range grants {
			if g.Provider == p.Name {
				t.Connected += len(g.Follows)
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// missing names the variables without which a provider cannot be connected.
func (a *App) missing(p *oauth.Provider) []string {
	if !p.NeedsApp || a.cfg.Apps[p.App].ClientID != "" {
		return nil
	}
	return []string{"JAUGE_" + p.App + "_CLIENT_ID", "JAUGE_" + p.App + "_CLIENT_SECRET"}
}

// Warnings are what ends soon or has ended.
func (s site) Warnings(ctx context.Context) ([]pages.Warning, error) {
	var out []pages.Warning
	for _, w := range collectors.Watch(s.a.apis(), time.Now()) {
		out = append(out, pages.Warning{
			Kind: "sunset_" + w.Sunset.Kind, Platform: w.Platform, Subject: w.Sunset.Name, When: w.Sunset.Ends, Text: w.Text,
		})
	}
	grants, err := s.a.grants(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		if len(g.Follows) == 0 {
			out = append(out, pages.Warning{
				Kind: "unchosen", Platform: g.Provider, Subject: cmp.Or(g.Holder.Handle, g.Holder.Name, g.ID),
				Text: "it is connected, and nothing is followed by it: connect it again and choose, or end it by jauge disconnect " + g.ID,
			})
		}
	}
	rows, err := s.a.accountRows(ctx)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		r := &rows[i]
		state := oauth.State(r.State)
		if !r.Removed.IsZero() || (state != oauth.StateExpiring && !state.Parked()) {
			continue
		}
		kind := "parked"
		if state == oauth.StateExpiring {
			kind = "expiring"
		}
		out = append(out, pages.Warning{
			Kind: kind, Platform: r.Platform, Subject: cmp.Or(r.Handle, r.Account), When: r.ExpiresAt,
			Text: oauth.Advice(state, oauth.Cause(r.Cause)),
		})
	}
	return out, nil
}

// apis are the contracts of all platforms that are read or can be connected.
func (a *App) apis() map[string]collectors.API {
	m := map[string]collectors.API{}
	for _, p := range a.providers {
		m[p.Name] = p.API
	}
	for _, p := range a.platforms {
		if p.API.Version != "" || len(p.API.Sunsets) > 0 || m[string(p.Name)].Version == "" {
			m[string(p.Name)] = p.API
		}
	}
	return m
}

// Begin sends a browser to a provider.
func (s site) Begin(ctx context.Context, platform, input, browser string) (string, error) {
	if providerNamed(platform) == nil {
		return "", &pages.Problem{Kind: pages.ProblemNotFound, Platform: platform}
	}
	if err := s.a.needVault(); err != nil {
		return "", problemPage(err, platform)
	}
	address, err := s.a.vault.Begin(ctx, oauth.BeginRequest{
		Provider: platform, Input: strings.TrimSpace(input), Redirect: redirectOf(s.a.cfg, providerNamed(platform)), Browser: browser,
	})
	return address, problemPage(err, platform)
}

// Complete takes a browser back.
func (s site) Complete(ctx context.Context, callback url.Values, browser string) (string, error) {
	g, _, err := s.a.vault.Complete(ctx, callback, browser)
	if err != nil {
		return "", problemPage(err, g.Provider)
	}
	return g.ID, s.a.granted(ctx)
}

// Choice tells what a grant can follow.
func (s site) Choice(ctx context.Context, grant string) (pages.Choice, error) {
	grants, err := s.a.grants(ctx)
	if err != nil {
		return pages.Choice{}, err
	}
	i := slices.IndexFunc(grants, func(g oauth.Grant) bool { return g.ID == grant })
	if i < 0 {
		return pages.Choice{}, &pages.Problem{Kind: pages.ProblemNotFound}
	}
	g := grants[i]
	subjects, err := s.a.vault.Subjects(ctx, grant)
	if err != nil {
		return pages.Choice{}, problemPage(err, g.Provider)
	}
	listed, err := s.a.listed(ctx, &s.a.cfg.File)
	if err != nil {
		return pages.Choice{}, err
	}
	c := pages.Choice{
		Platform: g.Provider, Title: providerNamed(g.Provider).Title, Holder: cmp.Or(g.Holder.Handle, g.Holder.Name, g.Holder.ID),
		Brands: s.a.brands(grants),
	}
	d := completedOf(g, subjects)
	c.Brand = proposeBrand(&s.a.cfg.File, d.Subjects, nil)
	for i, sub := range subjects {
		_, f := grantOf([]oauth.Grant{g}, sub.Platform, sub.ID, "")
		if f != nil && f.Brand != "" {
			c.Brand = f.Brand
		}
		c.Subjects = append(c.Subjects, pages.Subject{
			Key: d.Subjects[i].Key, Platform: string(sub.Platform), Title: titleOf(sub.Platform), Handle: sub.Handle, Name: sub.Name,
			Avatar: sub.Avatar, Chosen: f != nil || !g.Chosen, FromConfig: listed.has(sub.Platform, sub.ID, sub.Handle),
		})
	}
	return c, nil
}

// brands are those of the file and of connected accounts.
func (a *App) brands(grants []oauth.Grant) []string {
	var out []string
	for _, b := range a.cfg.File.Brands {
		out = append(out, b.Name)
	}
	for i := range grants {
		for _, f := range grants[i].Follows {
			if f.Brand != "" {
				out = append(out, f.Brand)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Follow follows subjects of a grant.
func (s site) Follow(ctx context.Context, grant string, subjects []string, brand string) error {
	if _, err := s.a.vault.Follow(ctx, grant, subjects, strings.TrimSpace(brand)); err != nil {
		return problemPage(err, "")
	}
	return s.a.granted(ctx)
}

// Pause stops reading an account for a while, or goes on.
func (s site) Pause(ctx context.Context, account string, paused bool) error {
	_, f, err := s.follow(ctx, account)
	if err != nil {
		return err
	}
	if err := s.a.vault.Pause(ctx, f.Platform, f.ID, paused); err != nil {
		return problemPage(err, "")
	}
	if !paused {
		s.a.wake(jauge.Key{Platform: f.Platform, Account: f.ID})
	}
	return nil
}

// Remove stops to follow an account.
func (s site) Remove(ctx context.Context, account string) error {
	g, f, err := s.follow(ctx, account)
	if err != nil {
		return err
	}
	if _, err := s.a.unfollow(ctx, g, f); err != nil {
		return problemPage(err, g.Provider)
	}
	return s.a.granted(ctx)
}

// follow finds a connected account by its key.
func (s site) follow(ctx context.Context, account string) (*oauth.Grant, *oauth.Follow, error) {
	grants, err := s.a.grants(ctx)
	if err != nil {
		return nil, nil, err
	}
	g, f, err := findFollow(grants, account)
	if err == nil {
		return g, f, nil
	}
	platform, id, _ := strings.Cut(account, "/")
	listed, lerr := s.a.listed(ctx, &s.a.cfg.File)
	if lerr != nil {
		return nil, nil, lerr
	}
	if listed.has(jauge.Platform(platform), id, id) {
		return nil, nil, &pages.Problem{Kind: pages.ProblemFromConfig}
	}
	return nil, nil, &pages.Problem{Kind: pages.ProblemNotFound, Err: err}
}

// problemPage makes an error that has a page of its own.
func problemPage(err error, platform string) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*oauth.FlowError](err); ok {
		p := &pages.Problem{Kind: string(f.Kind), Platform: platform, Err: err}
		if f.Err != nil {
			p.Detail = f.Err.Error()
		}
		return p
	}
	if errors.Is(err, jauge.ErrStale) {
		return &pages.Problem{Kind: pages.ProblemBusy, Err: err}
	}
	if jauge.ReasonOf(err) == jauge.ReasonNotFound {
		return &pages.Problem{Kind: pages.ProblemNotFound, Err: err}
	}
	return err
}
