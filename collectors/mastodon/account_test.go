package mastodon_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

func TestAccountGauges(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  mastofake.Config
		want []jauge.WireValue
	}{
		"plain":           {mastofake.Config{}, []jauge.WireValue{{Wire: "followers_count", Value: 1200}, {Wire: "following_count"}, {Wire: "statuses_count", Value: 3}}},
		"in quotes":       {mastofake.Config{StringCounts: true}, []jauge.WireValue{{Wire: "followers_count", Value: 1200}, {Wire: "following_count"}, {Wire: "statuses_count", Value: 3}}},
		"hidden is no -1": {mastofake.Config{HideFollowers: true}, []jauge.WireValue{{Wire: "following_count"}, {Wire: "statuses_count", Value: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tc.cfg)
			b.server.AddAccount("brand", 1200, 0)
			b.posts("brand", 3)
			tg := b.target("@brand@mastodon.example")
			out := b.refresh(tg)
			if diff := cmp.Diff(tc.want, out.account[tg.Account.ID].Values); diff != "" {
				t.Errorf("gauges (-want +got):\n%s", diff)
			}
			if r := out.results[0]; !r.Complete || r.State != jauge.AccountLive || len(out.posts) != 3 {
				t.Errorf("result %+v, %d posts", r, len(out.posts))
			}
		})
	}
}

func TestAccountStates(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg    mastofake.Config
		change func(s *mastofake.Server)
		state  jauge.AccountState
		moved  string
		posts  int
	}{
		"moved far":      {mastofake.Config{}, func(s *mastofake.Server) { s.Move("brand", "new@far.example") }, jauge.AccountMoved, "@new@far.example", 3},
		"moved near":     {mastofake.Config{}, func(s *mastofake.Server) { s.Move("brand", "new") }, jauge.AccountMoved, "@new@mastodon.example", 3},
		"suspended":      {mastofake.Config{}, func(s *mastofake.Server) { s.Suspend("brand", true) }, jauge.AccountSuspended, "", 0},
		"gone (old 410)": {mastofake.Config{}, func(s *mastofake.Server) { s.Gone("brand", true) }, jauge.AccountSuspended, "", 0},
		"deleted":        {mastofake.Config{}, func(s *mastofake.Server) { s.Remove("brand") }, jauge.AccountDeleted, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tc.cfg)
			b.server.AddAccount("brand", 1200, 7)
			due := b.posts("brand", 3)
			tg := b.target("@brand@mastodon.example")
			tg.Due = due
			tc.change(b.server)
			out := b.refresh(tg)
			r, o := out.results[0], out.account[tg.Account.ID]
			if r.Err != nil || r.State != tc.state || o.State != tc.state || o.MovedTo != tc.moved {
				t.Errorf("result %+v, observation %+v", r, o)
			}
			if len(out.posts) != tc.posts || (o.Values != nil) != (tc.posts > 0) || r.Complete != (tc.posts > 0) {
				t.Errorf("%d posts, gauges %v, complete %v", len(out.posts), o.Values, r.Complete)
			}
		})
	}
}

// What looks like a deletion but may be something else is an error, never a state.
func TestAccountIsNotGuessedAway(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *mastofake.Server)
		want   string
	}{
		"another id under the name": {func(s *mastofake.Server) { s.Remove("brand"); s.AddAccount("brand", 1, 1) }, "another id"},
		"the name cannot be asked": {func(s *mastofake.Server) {
			s.Remove("brand")
			s.Inject(mastofake.Fault{Path: "/lookup", Status: 503})
		}, "server"},
		"somebody else answers 404": {func(s *mastofake.Server) {
			s.Inject(mastofake.Fault{Kind: mastofake.HTML, Path: "/api/"})
		}, "decode"},
		"login wanted": {func(s *mastofake.Server) { s.Inject(mastofake.Fault{Status: 401}) }, "without a login"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, mastofake.Config{})
			b.server.AddAccount("brand", 1200, 7)
			tg := b.target("@brand@mastodon.example")
			tg.Due = b.posts("brand", 3)
			tc.change(b.server)
			out := b.refresh(tg)
			if r := out.results[0]; r.Err == nil || r.State != "" || !strings.Contains(r.Err.Error(), tc.want) {
				t.Errorf("result %+v, want an error with %q", r, tc.want)
			}
			if len(out.pages) != 0 {
				t.Errorf("pages %+v, want none", out.pages)
			}
		})
	}
}

// A handle changes its spelling, not its key.
func TestHandleAsSpelledNow(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("Brand", 1, 1)
	tg := b.target("@brand@mastodon.example")
	tg.Account.Handle = "@bRAND@mastodon.example"
	if got := b.refresh(tg).pages[0].Handle; got != "@Brand@mastodon.example" {
		t.Errorf("page's handle %q", got)
	}
}

func TestAccountIDThatIsNone(t *testing.T) {
	b := newBench(t, mastofake.Config{})
	b.server.AddAccount("brand", 1, 1)
	good := b.target("@brand@mastodon.example")
	bad := good
	bad.Account.ID = "109440137734600341"
	out := b.refresh(bad, good)
	if jauge.ReasonOf(out.results[0].Err) != jauge.ReasonBadRequest || !out.results[1].Complete {
		t.Errorf("results %+v", out.results)
	}
}
