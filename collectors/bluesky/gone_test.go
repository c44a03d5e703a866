package bluesky_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/collectors/bluesky/bskyfake"
	"jauge.dev/jauge/collectors/collectortest"
)

func TestDeletedIsProven(t *testing.T) {
	const step = time.Hour
	f := bskyfake.New()
	did := f.Generate("acme.example", 300, noon, step)
	due := ranks(did, 300, noon, step, 3, 4, 150, 151, 152)
	f.Delete(due[0].ID) // passed over by listing
	f.Delete(due[2].ID) // left out of the batch
	f.Omit(due[1].ID)   // passed over, and yet it is there
	f.Omit(due[3].ID)
	r := refresh(t, f, known(did, noon, due...))
	states := map[string]jauge.PostState{}
	for _, d := range due {
		o := r.posts[d.ID]
		states[d.ID] = o.PostState
		if deleted := o.PostState == jauge.PostDeleted; deleted != (o.Values == nil) || deleted != (o.Post == nil) {
			t.Errorf("%s: %+v", d.ID, o)
		}
	}
	want := map[string]jauge.PostState{
		due[0].ID: jauge.PostDeleted, due[1].ID: jauge.PostLive, due[2].ID: jauge.PostDeleted, due[3].ID: jauge.PostLive, due[4].ID: jauge.PostLive,
	}
	if diff := cmp.Diff(want, states); diff != "" || !r.results[0].Complete {
		t.Errorf("%+v (-want +got):\n%s", r.results[0], diff)
	}
	if n := f.Calls()[methodThread]; n != 4 {
		t.Errorf("%d single reads, want 4", n)
	}
	f.Restore(due[0].ID)
	if o := refresh(t, f, known(did, noon, due...)).posts[due[0].ID]; o.PostState != jauge.PostLive || o.Values == nil {
		t.Errorf("a post that came back: %+v", o)
	}
}

func TestSingleReadsAreBounded(t *testing.T) {
	const step = time.Hour
	f := bskyfake.New()
	did, other := f.Generate("acme.example", 300, noon, step), f.Generate("other.example", 10, noon, step)
	var all []int
	for i := 100; i < 220; i += 2 {
		all = append(all, i)
	}
	due := ranks(did, 300, noon, step, all...)
	for _, d := range due {
		f.Delete(d.ID)
	}
	r := refresh(t, f, known(did, noon, due...), known(other, noon))
	if n := f.Calls()[methodThread]; n != 50 || r.results[0].Complete || r.results[0].Err != nil || !r.results[1].Complete {
		t.Errorf("%d single reads, %+v", n, r.results)
	}
	deleted := 0
	for _, o := range r.posts {
		if o.PostState == jauge.PostDeleted {
			deleted++
		}
	}
	if deleted != 50 {
		t.Errorf("%d posts called deleted, want the 50 that were read", deleted)
	}
}

func TestAccountsThatAreNotLive(t *testing.T) {
	for state, want := range map[bskyfake.State]jauge.AccountState{
		bskyfake.TakenDown: jauge.AccountSuspended, bskyfake.Deactivated: jauge.AccountSuspended, bskyfake.Deleted: jauge.AccountDeleted,
	} {
		f := bskyfake.New()
		did, live := f.Generate("acme.example", 10, noon, time.Hour), f.Generate("live.example", 10, noon, time.Hour)
		f.SetState(did, state)
		r := refresh(t, f, known(did, noon, ranks(did, 10, noon, time.Hour, 1, 2)...), known(live, noon))
		wantResults := []collectors.Result{{Account: did, State: want}, {Account: live, Complete: true, State: jauge.AccountLive}}
		if diff := cmp.Diff(wantResults, r.results); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
		wantObs := jauge.Observation{Object: jauge.ObjectAccount, ID: did, Period: jauge.PeriodInstant, State: want}
		if diff := cmp.Diff(wantObs, r.account[did]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
		for id := range r.posts {
			if strings.Contains(id, did) {
				t.Errorf("%s: post %s was touched", state, id)
			}
		}
		_, err := bluesky.Platform.New("").Resolve(t.Context(), collectortest.Client(t, bluesky.Platform, f), did)
		if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Reason != jauge.ReasonNotFound || e.Hint == "" || e.Code != string(state) {
			t.Errorf("%s: Resolve = %v", state, err)
		}
	}
}

// The posts of a suspended account are denied in the words that are used for deleted ones.
func TestSuspendedDuringTheRun(t *testing.T) {
	f := bskyfake.New()
	did := f.Generate("acme.example", 300, noon, time.Hour)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, methodPosts) {
			f.SetState(did, bskyfake.TakenDown)
		}
		f.ServeHTTP(w, r)
	})
	sink := &collectortest.Sink{}
	results, err := bluesky.Platform.New("").Collect(t.Context(), collectors.Request{
		Task: collectors.TaskRefresh, HTTP: collectortest.Client(t, bluesky.Platform, h),
		Targets: []collectors.Target{known(did, noon, ranks(did, 300, noon, time.Hour, 150, 151)...)},
	}, sink.Emit)
	if err != nil || results[0].Complete || results[0].State != jauge.AccountSuspended {
		t.Errorf("%+v, %v", results, err)
	}
	for _, p := range sink.Pages {
		for _, o := range p.Observations {
			if o.PostState == jauge.PostDeleted {
				t.Errorf("%s is called deleted", o.ID)
			}
		}
	}
}

func TestRenamedAccount(t *testing.T) {
	f := bskyfake.New()
	did := f.Generate("acme.example", 3, noon, time.Hour)
	f.Rename(did, "acme-group.example")
	r := refresh(t, f, target(did))
	for _, p := range r.pages {
		if p.Handle != "acme-group.example" || p.Account != did {
			t.Errorf("page of %s as %s", p.Account, p.Handle)
		}
	}
	f.Rename(did, "handle.invalid")
	for _, p := range refresh(t, f, target(did)).pages {
		if p.Handle != "acme.example" {
			t.Errorf("page of %s as %s, want what it was called before", p.Account, p.Handle)
		}
	}
}

func TestOneMalformedIDDoesNotSpoilTheOthers(t *testing.T) {
	f := bskyfake.New()
	a, b := f.Generate("acme.example", 200, noon, time.Hour), f.Generate("b.example", 200, noon, time.Hour)
	due := ranks(a, 200, noon, time.Hour, 150, 151)
	due = append(due, collectors.PostRef{ID: "at://rubbish", PublishedAt: noon.Add(-152 * time.Hour), Rank: 152})
	dueB := ranks(b, 200, noon, time.Hour, 150, 151)
	r := refresh(t, f, known(a, noon, due...), target("rubbish"), known(b, noon, dueB...))
	if r.results[0].Err == nil || r.results[1].Err == nil || !r.results[2].Complete {
		t.Errorf("%+v", r.results)
	}
	if r.posts[due[0].ID].Values == nil || r.posts[dueB[1].ID].Values == nil {
		t.Error("good ids were not read")
	}
}
