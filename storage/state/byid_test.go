package state_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
)

// with is an account that was connected: its id is known, its handle is a label.
func with(id, handle, brand string) jauge.Account {
	a := acct(handle, brand)
	a.ID = id
	return a
}

func TestAccountsListedByID(t *testing.T) {
	t.Parallel()
	type account = jauge.Account
	for name, steps := range map[string][]struct {
		accounts []account
		changes  []string
		roster   []string // id handle brand, "by id" where it is so, "gone" where it was taken out
	}{
		"a label changes, and the account stays": {
			{[]account{with("1", "a", "acme")}, []string{"added a acme"}, []string{"1 a acme by id"}},
			{[]account{with("1", "b", "acme")}, nil, []string{"1 b acme by id"}},
			{nil, []string{"removed a acme"}, []string{"1 b acme by id gone"}},
			{[]account{with("1", "", "other")}, []string{"put_back a other", "brand a other acme"}, []string{"1 1 other by id"}},
		},
		"two of one name": {
			{[]account{with("1", "a", "acme"), with("2", "a", "acme")}, []string{"added a acme", "added a acme"},
				[]string{"1 a acme by id", "2 a acme by id"}},
			{[]account{acct("a", "other"), with("1", "a", "acme"), with("2", "a", "acme")}, []string{"added a other"},
				[]string{"1 a acme by id", "2 a acme by id", " a other"}},
		},
		"opened by two grants": {
			{[]account{with("1", "a", "acme"), with("1", "a", "other")}, []string{"added a acme"}, []string{"1 a acme by id"}},
		},
		"config lists it first": {
			{[]account{acct("A", "acme")}, []string{"added A acme"}, []string{" A acme"}},
			{[]account{with("1", "a", "other"), acct("A", "acme")}, nil, []string{"1 A acme"}},
			{[]account{with("1", "a", "other")}, []string{"brand a other acme"}, []string{"1 a other by id"}},
		},
		"config lists it later": {
			{[]account{with("1", "a", "other")}, []string{"added a other"}, []string{"1 a other by id"}},
			{[]account{with("1", "a", "other"), acct("@a", "acme")}, []string{"brand a acme other"}, []string{"1 @a acme"}},
		},
		"config lists it by its id": {
			{[]account{with("UC1", "a", "other"), acct("UC1", "acme")}, []string{"added UC1 acme"}, []string{"UC1 UC1 acme"}},
		},
		"config changes to another account of the name": {
			{[]account{with("1", "a", "acme")}, []string{"added a acme"}, []string{"1 a acme by id"}},
			{[]account{with("2", "a", "acme")}, []string{"added a acme", "removed a acme"},
				[]string{"1 a acme by id gone", "2 a acme by id"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := fresh(t)
			for i, s := range steps {
				if diff := cmp.Diff(s.changes, sync(t, db, epoch.Add(time.Duration(i)*time.Hour), s.accounts...)); diff != "" {
					t.Errorf("step %d: changes (-want +got):\n%s", i, diff)
				}
				var got []string
				for f, err := range db.Roster(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					line := f.Account.ID + " " + f.Configured + " " + f.Account.Brand
					if f.ByID {
						line += " by id"
					}
					if !f.Removed.IsZero() {
						line += " gone"
					}
					got = append(got, line)
				}
				if diff := cmp.Diff(s.roster, got); diff != "" {
					t.Errorf("step %d: roster (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestConfigTakesOverWhatWasConnected: a handle that config spells quite differently leads to an account that is
// listed by its id: it is one account, of the brand that config says, with all its posts.
func TestConfigTakesOverWhatWasConnected(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	both := []jauge.Account{with("1", "page name", "other"), acct("vanity", "acme")}
	sync(t, db, epoch, both...)
	old := roster(t, db)["page name"].Ref
	advance(t, db, jauge.Advance{Ref: old, Observed: epoch, Posts: []jauge.KnownPost{live("p", epoch, epoch)}})
	f, err := db.Resolved(t.Context(), roster(t, db)["vanity"].Ref, "1", "page name", epoch.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if f.Ref != old || f.ByID || f.Configured != "vanity" || f.Account.Brand != "acme" || len(due(t, db, old, time.Time{})) != 1 {
		t.Errorf("got %+v, want the old entry under config's spelling and brand", f)
	}
	if changes := sync(t, db, epoch.Add(2*time.Hour), both...); len(changes) != 0 {
		t.Errorf("listed again: %s", strings.Join(changes, ", "))
	}
}
