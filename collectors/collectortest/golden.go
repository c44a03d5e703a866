package collectortest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

var update = flag.Bool("update", false, "write the goldens anew; refused in CI")

// exchange is one file of responses/: what is asked and what is answered. Several files with the same request answer
// in the order of their names, the last one ever after.
type exchange struct {
	Request string            `json:"request"` // path and query; with scheme and host where hosts matter
	Status  int               `json:"status"`  // 0 is 200
	Header  map[string]string `json:"header"`
	Body    json.RawMessage   `json:"body"` // JSON; or
	Text    string            `json:"text"` // anything else

	used bool
}

// goldenRequest is request.json: a handle to resolve, or the work of a call of Collect.
type goldenRequest struct {
	Resolve string              `json:"resolve"`
	Task    collectors.Task     `json:"task"`
	Targets []collectors.Target `json:"targets"`
}

// goldenResult is collectors.Result with its error as text.
type goldenResult struct {
	Account  string
	Complete bool
	State    jauge.AccountState `json:",omitempty"`
	Cursor   string             `json:",omitempty"`
	Done     bool               `json:",omitempty"`
	Err      string             `json:",omitempty"`
}

// golden is want.json.
type golden struct {
	Account *jauge.Account `json:",omitempty"`
	Pages   []jauge.Page   `json:",omitempty"`
	Results []goldenResult `json:",omitempty"`
	Err     string         `json:",omitempty"`
}

// Goldens runs every case under dir ("testdata"): one folder each with request.json, responses/*.json and want.json.
// Every response must be asked for, and nothing else may be. base is the API root, empty for DefaultBase.
func Goldens(t *testing.T, p collectors.Platform, base, dir string) {
	t.Helper()
	if base == "" {
		base = DefaultBase
	}
	requests, err := filepath.Glob(filepath.Join(dir, "*", "request.json"))
	if err != nil || len(requests) == 0 {
		t.Fatalf("no cases under %s: %v", dir, err)
	}
	for _, r := range requests {
		folder := filepath.Dir(r)
		t.Run(filepath.Base(folder), func(t *testing.T) { runGolden(t, p, base, folder) })
	}
}

func runGolden(t *testing.T, p collectors.Platform, base, folder string) {
	var req goldenRequest
	readJSON(t, filepath.Join(folder, "request.json"), &req)
	rec := loadReplay(t, base, folder)
	hc, col, got := Client(t, p, rec), p.New(base), golden{}
	if req.Resolve != "" {
		a, err := col.Resolve(t.Context(), hc, req.Resolve)
		if got.Err = text(err); err == nil {
			got.Account = &a
		}
	} else {
		sink := &Sink{}
		results, err := col.Collect(t.Context(), collectors.Request{
			Task: req.Task, Targets: req.Targets, HTTP: hc,
		}, sink.Emit)
		CheckPages(t, p, req.Targets, sink.Pages)
		CheckResults(t, req.Targets, results)
		got.Pages, got.Err = sink.Pages, text(err)
		for _, r := range results {
			got.Results = append(got.Results,
				goldenResult{r.Account, r.Complete, r.State, r.Cursor, r.Done, text(r.Err)})
		}
	}
	rec.check(t)
	compare(t, filepath.Join(folder, "want.json"), got)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func compare(t *testing.T, file string, got golden) {
	t.Helper()
	b := terse(t, got)
	if *update {
		if os.Getenv("CI") != "" {
			t.Fatal("-update in CI: goldens are written by hand and reviewed")
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file) //nolint:gosec // a test's own folder
	if err != nil {
		t.Fatalf("%v: write it with -update and read it over", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(b), "\n")); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// terse writes a value as indented JSON without what is empty, so that a golden shows what was said. Values of wire
// names are kept: there, 0 says something.
func terse(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	if b, err = json.MarshalIndent(prune(tree), "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			switch inner {
			case nil, "", false, "0001-01-01T00:00:00Z":
				delete(v, key)
				continue
			case 0.0:
				if key != "Value" {
					delete(v, key)
				}
				continue
			}
			v[key] = prune(inner)
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(file) //nolint:gosec // a test's own folder
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("%s: more than one document", file)
	}
}

// replay answers from the files of responses/.
type replay struct {
	mu      sync.Mutex
	base    *url.URL
	byAsked map[string][]*exchange
	strange []string
}

func loadReplay(t *testing.T, base, folder string) *replay {
	t.Helper()
	root, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "responses", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	rep := &replay{base: root, byAsked: map[string][]*exchange{}}
	for _, f := range files {
		e := &exchange{}
		readJSON(t, f, e)
		u, err := root.Parse(e.Request)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		rep.byAsked[asked(u)] = append(rep.byAsked[asked(u)], e)
	}
	return rep
}

// asked writes an address with its query sorted by name.
func asked(u *url.URL) string {
	return fmt.Sprintf("%s://%s%s?%s", u.Scheme, u.Host, u.EscapedPath(), u.Query().Encode())
}

// ServeHTTP implements http.Handler.
func (r *replay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := asked(req.URL)
	left := r.byAsked[key]
	if len(left) == 0 {
		r.strange = append(r.strange, key)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	e := left[0]
	e.used = true
	if len(left) > 1 {
		r.byAsked[key] = left[1:]
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range e.Header {
		w.Header().Set(k, v)
	}
	if e.Status != 0 {
		w.WriteHeader(e.Status)
	}
	if e.Text != "" {
		_, _ = io.WriteString(w, e.Text)
		return
	}
	_, _ = w.Write(e.Body)
}

func (r *replay) check(t *testing.T) {
	t.Helper()
	for _, s := range r.strange {
		t.Errorf("request without a response: %s", s)
	}
	for key, left := range r.byAsked {
		for _, e := range left {
			if !e.used {
				t.Errorf("response that nobody asked for: %s", key)
			}
		}
	}
}
