package jauge_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "jauge.dev/jauge"

// room is what one package, or one family of packages, may import. Paths are relative to the module; own entries are
// exact, third-party ones name a module and all below it.
type room struct {
	path  string // as path.Match takes it: * is one name
	own   []string
	third []string
	test  bool // a room of tests: only tests may import it
}

const (
	prom    = "github.com/prometheus/client_golang"
	backoff = "github.com/cenkalti/backoff/v5"
	groups  = "golang.org/x/sync"
	gocmp   = "github.com/google/go-cmp"
	sqlite  = "modernc.org/sqlite"
)

// rooms are the floors of the house, the lowest first: who may import whom. A package that no line matches fails the
// test, so that a new room is a decision. "" is the root.
var rooms = []room{
	// floor 0: the nouns of the business, and what belongs to no room
	{path: "."},
	{path: "internal/web", own: []string{"."}, third: []string{prom}},
	{path: "internal/web/pages", own: []string{"."}, third: []string{
		"github.com/alexedwards/argon2id", "github.com/gorilla/securecookie", "golang.org/x/text", "golang.org/x/time",
	}},
	{path: "internal/web/pages/pagestest", own: []string{".", "internal/web/pages"}, test: true},
	// floor 1: contracts, the manners of HTTP, the computation
	{path: "collectors", own: []string{"."}},
	{path: "collectors/rest", own: []string{".", "collectors"}, third: []string{prom, backoff, "golang.org/x/time", "github.com/sony/gobreaker/v2"}},
	{path: "pipeline", own: []string{"."}, third: []string{prom, backoff, groups, "github.com/expr-lang/expr"}},
	// floor 2: adapters; a platform never imports another one, nor storage the pipeline, nor collectors either
	{path: "collectors/schedule", own: []string{".", "collectors"}, third: []string{prom, backoff, groups, "github.com/robfig/cron/v3", "github.com/oklog/ulid/v2"}},
	{path: "collectors/oauth", own: []string{".", "collectors"}, third: []string{
		prom, backoff, groups, "golang.org/x/oauth2", "golang.org/x/crypto", "github.com/oklog/ulid/v2",
	}},
	{path: "collectors/oauth/providers", own: []string{".", "collectors", "collectors/oauth"}, third: []string{
		"golang.org/x/oauth2", "github.com/go-jose/go-jose/v4",
	}},
	{path: "collectors/oauth/oauthtest", own: []string{".", "collectors", "collectors/oauth", "collectors/oauth/*", "storage/storagetest"}, third: []string{gocmp}, test: true},
	{path: "collectors/collectortest", own: []string{".", "collectors", "collectors/rest", "pipeline"}, third: []string{gocmp, "go.uber.org/goleak", "github.com/robfig/cron/v3"}, test: true},
	{path: "collectors/*", own: []string{".", "collectors", "collectors/rest"}, third: []string{"golang.org/x/net"}},
	{path: "collectors/*/*fake", test: true},
	{path: "pipeline/journal", own: []string{".", "pipeline"}, third: []string{
		prom, backoff, "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/gofrs/flock", "github.com/klauspost/compress",
		"github.com/oklog/ulid/v2", "github.com/tinylib/msgp", "golang.org/x/sys",
	}},
	{path: "pipeline/journal/journaltest", own: []string{".", "pipeline", "pipeline/journal"}, third: []string{gocmp}, test: true},
	{path: "pipeline/pipelinetest", own: []string{".", "pipeline"}, third: []string{gocmp}, test: true},
	{path: "storage/internal/base", own: []string{"."}, third: []string{prom}},
	{path: "storage/influx", own: []string{".", "storage/internal/base"}, third: []string{
		prom, groups, "github.com/influxdata/influxdb-client-go/v2", "github.com/influxdata/line-protocol/v2", "github.com/klauspost/compress",
	}},
	{path: "storage/sqlite", own: []string{".", "storage/internal/base"}, third: []string{prom, sqlite}},
	{path: "storage/state", own: []string{"."}, third: []string{sqlite}},
	{path: "storage/natskv", own: []string{"."}, third: []string{"github.com/nats-io/nats.go"}},
	{path: "storage/storagetest", own: []string{".", "pipeline"}, third: []string{gocmp}, test: true},
	// floor 3: a roof over the Config structs
	{path: "configs", own: []string{
		".", "collectors", "collectors/oauth", "collectors/rest", "collectors/schedule", "internal/web/pages", "pipeline", "pipeline/journal", "storage/influx", "storage/sqlite",
		"storage/state",
	}, third: []string{"github.com/alexedwards/argon2id", "github.com/sethvargo/go-envconfig", "go.yaml.in/yaml/v3"}},
	// benchmarks and black-box tests of the whole program: files of tests alone
	{path: "cmd/jauge/*", test: true},
	// floor 4: everything is wired here, and nothing imports it
	{path: "cmd/jauge", own: []string{"*", "*/*", "*/*/*"}, third: []string{
		prom, backoff, groups, "github.com/gofrs/flock", "github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term",
	}},
}

func roomOf(pkg string) *room {
	for i := range rooms {
		if ok, err := path.Match(rooms[i].path, pkg); err == nil && ok {
			return &rooms[i]
		}
	}
	return nil
}

// relative gives a package's path within the module, or false.
func relative(pkg string) (string, bool) {
	if pkg == module {
		return ".", true
	}
	return strings.CutPrefix(pkg, module+"/")
}

// may says why a room may not import a package, "" where it may.
func (r *room) may(imported string) string {
	if own, ok := relative(imported); ok {
		target := roomOf(own)
		if target != nil && target.test && !r.test {
			return "a room of tests is imported by tests alone"
		}
		match := func(allowed string) bool {
			hit, err := path.Match(allowed, own)
			return err == nil && hit
		}
		if !slices.ContainsFunc(r.own, match) {
			return "the floors do not allow it"
		}
		return ""
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for _, m := range r.third {
		if imported == m || strings.HasPrefix(imported, m+"/") {
			return ""
		}
	}
	return "this third-party module is not on the room's list"
}

// TestFloors holds the import graph against the table above. Files of tests are free, but for what their room's own
// code would pull in.
func TestFloors(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < len(rooms)/2 {
		t.Fatalf("go list names %d packages only:\n%s", len(lines), out)
	}
	for _, line := range lines {
		pkg, imports, _ := strings.Cut(line, " ")
		own, ok := relative(pkg)
		if !ok {
			t.Fatalf("go list gave %q", line)
		}
		r := roomOf(own)
		if r == nil {
			t.Errorf("%s is a room that floors_test.go does not know: decide what it may import", own)
			continue
		}
		for imported := range strings.FieldsSeq(imports) {
			if why := r.may(imported); why != "" {
				t.Errorf("%s imports %s: %s", own, imported, why)
			}
		}
	}
}

// TestFloorsNotice breaks the rules on purpose: a table that allowed everything would pass TestFloors too.
func TestFloorsNotice(t *testing.T) {
	for _, tt := range []struct {
		room, imported string
		allowed        bool
	}{
		{".", "strings", true},
		{".", "github.com/google/go-cmp/cmp", false},
		{"collectors/bluesky", module + "/collectors/rest", true},
		{"collectors/bluesky", module + "/collectors/mastodon", false},
		{"collectors/bluesky", module + "/collectors/bluesky/bskyfake", false},
		{"storage/sqlite", module + "/pipeline", false},
		{"storage/sqlite", module + "/storage/influx", false},
		{"storage/influx", module + "/configs", false},
		{"pipeline", module + "/collectors", false},
		{"pipeline", "database/sql", true},
		{"configs", module + "/cmd/jauge", false},
		{"cmd/jauge", module + "/storage/sqlite", true},
		{"cmd/jauge", module + "/storage/storagetest", false},
	} {
		r := roomOf(tt.room)
		if r == nil {
			t.Fatalf("no room %q", tt.room)
		}
		if why := r.may(tt.imported); (why == "") != tt.allowed {
			t.Errorf("%s importing %s: allowed %t, want %t (%s)", tt.room, tt.imported, why == "", tt.allowed, why)
		}
	}
}
