package collectortest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

func checkResolve(t *testing.T, c Case) {
	col, hc := c.Platform.New(c.Base), Client(t, c.Platform, c.Server(t))
	ids := map[string]string{}
	for _, h := range c.Handles {
		a, err := col.Resolve(t.Context(), hc, h)
		if err != nil {
			t.Fatalf("Resolve(%s): %v", h, err)
		}
		if a.Platform != c.Platform.Name || a.ID == "" || a.Handle != h {
			t.Errorf("Resolve(%s) = %+v, want platform %s, an id and the handle", h, a, c.Platform.Name)
		}
		if was, ok := ids[a.ID]; ok {
			t.Errorf("%s and %s have the same id %s", was, h, a.ID)
		}
		ids[a.ID] = h
	}
	_, err := col.Resolve(t.Context(), hc, c.Unknown)
	if e, ok := errors.AsType[*jauge.Error](err); !ok || e.Reason != jauge.ReasonNotFound {
		t.Errorf("Resolve(%s) = %v, want a *jauge.Error with reason not_found", c.Unknown, err)
	}
}

// run does one call of Collect over all handles of the case.
func run(t *testing.T, c Case, task collectors.Task, due [][]collectors.PostRef) (*Sink, []collectors.Result) {
	t.Helper()
	col, hc := c.Platform.New(c.Base), Client(t, c.Platform, c.Server(t))
	targets := Targets(t, col, hc, c.Until, c.Handles...)
	for i := range due {
		targets[i].Due = due[i]
		targets[i].Newest = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) // nothing is newer: due posts are what is asked
	}
	sink := &Sink{}
	results, err := col.Collect(t.Context(), collectors.Request{Task: task, Targets: targets, HTTP: hc}, sink.Emit)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	CheckPages(t, c.Platform, targets, sink.Pages)
	CheckResults(t, targets, results)
	for i, r := range results {
		if r.Err != nil || r.State != jauge.AccountLive {
			t.Errorf("result %d = %+v, want live and no error", i, r)
		}
	}
	return sink, results
}

func checkRefresh(t *testing.T, c Case) {
	sink, results := run(t, c, collectors.TaskRefresh, nil)
	posts := map[string][]collectors.PostRef{}
	gauges := map[string]bool{}
	for _, p := range sink.Pages {
		for _, o := range p.Observations {
			switch o.Object {
			case jauge.ObjectAccount:
				gauges[p.Account] = true
			case jauge.ObjectPost:
				posts[p.Account] = append(posts[p.Account],
					collectors.PostRef{ID: o.ID, PublishedAt: o.Post.PublishedAt, Rank: len(posts[p.Account])})
			}
		}
	}
	due := make([][]collectors.PostRef, len(results))
	for i, r := range results {
		if !r.Complete || !gauges[r.Account] || len(posts[r.Account]) == 0 {
			t.Errorf("%s: complete %v, gauges %v, %d posts", r.Account, r.Complete, gauges[r.Account], len(posts[r.Account]))
		}
		due[i] = posts[r.Account]
	}
	again, resultsAgain := run(t, c, collectors.TaskRefresh, nil)
	if diff := cmp.Diff(sink.Pages, again.Pages); diff != "" {
		t.Errorf("second run differs (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(results, resultsAgain, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("second run's results differ (-first +second):\n%s", diff)
	}
	byID, reread := run(t, c, collectors.TaskRefresh, due)
	seen := map[string]bool{}
	for _, p := range byID.Pages {
		for _, o := range p.Observations {
			if o.Object == jauge.ObjectPost && len(o.Values) > 0 {
				seen[o.ID] = true
			}
		}
	}
	for i, r := range reread {
		if !r.Complete {
			t.Errorf("%s: re-reading every post is not complete", r.Account)
		}
		for _, d := range due[i] {
			if !seen[d.ID] {
				t.Errorf("%s: due post %s was not read", r.Account, d.ID)
			}
		}
	}
}

func checkBackfill(t *testing.T, c Case) {
	col, hc := c.Platform.New(c.Base), Client(t, c.Platform, c.Server(t))
	targets := Targets(t, col, hc, c.Until, c.Handles[0])
	targets[0].Pages = 1
	whole, _ := run(t, c, collectors.TaskRefresh, nil)
	want, got := postIDs(whole.Pages, targets[0].Account.ID), map[string]int{}
	for range 1000 {
		sink := &Sink{}
		results, err := col.Collect(t.Context(), collectors.Request{
			Task: collectors.TaskBackfill, Targets: targets, HTTP: hc,
		}, sink.Emit)
		if err != nil || len(results) != 1 || results[0].Err != nil {
			t.Fatalf("Collect = %+v, %v", results, err)
		}
		CheckPages(t, c.Platform, targets, sink.Pages)
		for id := range postIDs(sink.Pages, targets[0].Account.ID) {
			got[id]++
		}
		if results[0].Done {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("backfill page by page and listing differ (-listing +backfill):\n%s", diff)
			}
			return
		}
		if results[0].Cursor == "" || results[0].Cursor == targets[0].Cursor {
			t.Fatalf("backfill stands still at cursor %q", results[0].Cursor)
		}
		targets[0].Cursor = results[0].Cursor
	}
	t.Error("backfill does not end")
}

func postIDs(pages []jauge.Page, account string) map[string]int {
	out := map[string]int{}
	for _, p := range pages {
		for _, o := range p.Observations {
			if p.Account == account && o.Object == jauge.ObjectPost {
				out[o.ID]++
			}
		}
	}
	return out
}

func checkFailures(t *testing.T, c Case) {
	const secret = `{"error":"Trouble","message":"token ` + Token + ` is no good"}`
	for _, tc := range []struct {
		name   string
		server http.Handler
		want   jauge.Reason
		after  time.Duration
	}{
		{"401", answer(401, nil, secret), jauge.ReasonAuth, 0},
		{"403", answer(403, nil, secret), jauge.ReasonScope, 0},
		{"429", answer(429, map[string]string{"Retry-After": "37"}, secret), jauge.ReasonRateLimited, 37 * time.Second},
		{"500", answer(500, nil, secret), jauge.ReasonServer, 0},
		{"503", answer(503, nil, "<html>busy</html>"), jauge.ReasonServer, 0},
		{"html", answer(200, nil, "<html>hello</html>"), jauge.ReasonDecode, 0},
		{"truncated", cut(c.Server(t)), jauge.ReasonDecode, 0},
		{"connection", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}), jauge.ReasonNetwork, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // a platform that says "later" is obeyed: in fake time
				checkFailure(t, c, tc.server, tc.want, tc.after)
			})
		})
	}
}

func checkFailure(t *testing.T, c Case, server http.Handler, want jauge.Reason, after time.Duration) {
	col := c.Platform.New(c.Base)
	targets := Targets(t, col, Client(t, c.Platform, c.Server(t)), c.Until, c.Handles...)
	hc, sink := Client(t, c.Platform, server), &Sink{}
	results, err := col.Collect(t.Context(), collectors.Request{
		Task: collectors.TaskRefresh, Targets: targets, HTTP: hc,
	}, sink.Emit)
	if err != nil {
		t.Fatalf("Collect = %v, want the failure in each result", err)
	}
	CheckResults(t, targets, results)
	_, resolveErr := col.Resolve(t.Context(), hc, c.Handles[0])
	errs := []error{resolveErr}
	for _, r := range results {
		errs = append(errs, r.Err)
		if r.Complete || r.Done {
			t.Errorf("%s is called complete", r.Account)
		}
	}
	for _, err := range errs {
		checkError(t, err, want, after)
	}
}

func checkError(t *testing.T, err error, want jauge.Reason, after time.Duration) {
	t.Helper()
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Reason != want {
		t.Errorf("error %v, want a *jauge.Error with reason %s", err, want)
		return
	}
	if e.RetryAfter != after {
		t.Errorf("error asks to wait %s, want %s", e.RetryAfter, after)
	}
	if strings.Contains(err.Error(), Token) {
		t.Errorf("error shows the token: %v", err)
	}
}

func checkOneFails(t *testing.T, c Case) {
	col := c.Platform.New(c.Base)
	targets := Targets(t, col, Client(t, c.Platform, c.Server(t)), c.Until, c.Handles...)
	healthy, failing := c.Server(t), targets[0].Account
	hit := 0
	hc := Client(t, c.Platform, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.Concerns(r, failing) {
			hit++
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		healthy.ServeHTTP(w, r)
	}))
	sink := &Sink{}
	results, err := col.Collect(t.Context(), collectors.Request{
		Task: collectors.TaskRefresh, Targets: targets, HTTP: hc,
	}, sink.Emit)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	CheckResults(t, targets, results)
	if hit == 0 {
		t.Fatal("no request concerned the failing account alone")
	}
	checkError(t, results[0].Err, jauge.ReasonServer, 0)
	for _, r := range results[1:] {
		if r.Err != nil || !r.Complete {
			t.Errorf("%s suffers from another account: %+v", r.Account, r)
		}
	}
}

func checkCanceled(t *testing.T, c Case) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	col := c.Platform.New(c.Base)
	targets := Targets(t, col, Client(t, c.Platform, c.Server(t)), c.Until, c.Handles...)
	for _, stalled := range []int{0, 1, 2} { // the call in which the server stalls until the caller gives up
		healthy, calls := c.Server(t), 0
		ctx, cancel := context.WithCancel(t.Context())
		hc := Client(t, c.Platform, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls > stalled {
				cancel()
				<-r.Context().Done()
				return
			}
			healthy.ServeHTTP(w, r)
		}))
		sink := &Sink{}
		_, err := col.Collect(ctx, collectors.Request{Task: collectors.TaskRefresh, Targets: targets, HTTP: hc}, sink.Emit)
		cancel()
		if jauge.ReasonOf(err) != jauge.ReasonCanceled {
			t.Errorf("canceled in call %d: Collect = %v, want reason canceled", stalled+1, err)
		}
		if calls > stalled+1 {
			t.Errorf("canceled in call %d: %d calls were made after", stalled+1, calls-stalled-1)
		}
		hc.CloseIdleConnections()
	}
}

func checkEmitFails(t *testing.T, c Case) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	col := c.Platform.New(c.Base)
	targets := Targets(t, col, Client(t, c.Platform, c.Server(t)), c.Until, c.Handles...)
	for _, after := range []int{0, 1, 2} { // pages that are taken before
		healthy, calls, callsThen := c.Server(t), 0, 0
		hc := Client(t, c.Platform, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			healthy.ServeHTTP(w, r)
		}))
		sink := &Sink{Fail: func(n int) error {
			if n < after {
				return nil
			}
			callsThen = calls
			return errEmit
		}}
		_, err := col.Collect(t.Context(), collectors.Request{
			Task: collectors.TaskRefresh, Targets: targets, HTTP: hc,
		}, sink.Emit)
		if !errors.Is(err, errEmit) {
			t.Errorf("emit failed after %d pages: Collect = %v, want emit's error", after, err)
		}
		if sink.Calls != after+1 || calls != callsThen {
			t.Errorf("emit failed after %d pages: %d pages and %d calls followed", after, sink.Calls-after-1, calls-callsThen)
		}
	}
}
