package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/bluesky/bskyfake"
	"jauge.dev/jauge/collectors/mastodon/mastofake"
	"jauge.dev/jauge/pipeline/journal"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"jauge": func() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) },
	})
}

// fakes are the servers that one script talks to.
type fakes struct {
	bluesky  *bskyfake.Fake
	mastodon *mastofake.Server
	posts    map[string]string // a name in the script -> the post's id
}

type fakesKey struct{}

const awaitTimeout = 20 * time.Second // of a condition that a script waits for

// TestScripts runs testdata/script: each is a session with the program, and says what it must print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			f := &fakes{bluesky: bskyfake.New(), mastodon: mastofake.New(mastofake.Config{}), posts: map[string]string{}}
			b, m := httptest.NewServer(f.bluesky), httptest.NewServer(f.mastodon)
			env.Defer(b.Close)
			env.Defer(m.Close)
			env.Values[fakesKey{}] = f
			addr, err := freeAddress()
			env.Vars = append(env.Vars,
				"JAUGE_BLUESKY_BASE_URL="+b.URL, "JAUGE_MASTODON_BASE_URL="+m.URL, "JAUGE_LISTEN="+addr,
				"JAUGE_DATA_DIR="+filepath.Join(env.WorkDir, "data"), "JAUGE_HTTP_LIMIT_FACTOR=1000", "JAUGE_HTTP_ATTEMPTS=2",
				"JAUGE_CONTACT=scripts@test.invalid",
			)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fake": fakeCommand, "await": awaitCommand, "get": getCommand, "exits": exitsCommand, "signal": signalCommand, "poison": poisonCommand,
		},
	})
}

// freeAddress finds a port that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func must(ts *testscript.TestScript, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	ts.Check(err)
	return n
}

// fakeCommand changes what the platforms say:
//
//	fake bluesky account HANDLE FOLLOWERS | post HANDLE NAME LIKES | likes NAME LIKES | delete NAME
//	fake mastodon account NAME FOLLOWERS | post NAME AS LIKES
func fakeCommand(ts *testscript.TestScript, _ bool, args []string) {
	f, ok := ts.Value(fakesKey{}).(*fakes)
	if !ok || len(args) < 3 {
		ts.Fatalf("usage: fake PLATFORM VERB NAME ...")
	}
	switch verb := strings.Join(args[:2], " "); verb {
	case "bluesky account":
		f.bluesky.SetFollowers(f.bluesky.Add(args[2]), must(ts, args[3]), 1)
	case "bluesky followers":
		f.bluesky.SetFollowers(bskyfake.DID(args[2]), must(ts, args[3]), 1)
	case "bluesky post":
		f.posts[args[3]] = f.bluesky.Post(bskyfake.DID(args[2]), bskyfake.Post{
			At: time.Now().Add(-time.Minute), Text: args[3], Counts: bskyfake.Counts{Likes: must(ts, args[4])},
		})
	case "bluesky likes":
		f.bluesky.SetCounts(f.posts[args[2]], bskyfake.Counts{Likes: must(ts, args[3])})
	case "bluesky delete":
		f.bluesky.Delete(f.posts[args[2]])
	case "mastodon account":
		f.mastodon.AddAccount(args[2], must(ts, args[3]), 1)
	case "mastodon post":
		f.posts[args[3]] = f.mastodon.Publish(args[2], mastofake.Post{
			At: time.Now().Add(-time.Minute), Text: args[3], Counts: mastofake.Counts{Favourites: int32(must(ts, args[4]))},
		})
	default:
		ts.Fatalf("fake knows no %q", verb)
	}
}

// exitsCommand runs a program that must end with a code: exits CODE PROGRAM ARGS.
func exitsCommand(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if code := strconv.Itoa(exitCode(err, &exit)); code != args[0] {
		ts.Fatalf("%s ended with %s (%v), want %s", strings.Join(args[1:], " "), code, err, args[0])
	}
}

func exitCode(err error, exit **exec.ExitError) int {
	if errors.As(err, exit) {
		return (*exit).ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// poisonCommand puts a page into the journal that no version of the pipeline can normalise yet.
func poisonCommand(ts *testscript.TestScript, _ bool, _ []string) {
	j, err := journal.New(journal.Config{Dir: filepath.Join(ts.Getenv("JAUGE_DATA_DIR"), "journal")}, nil, nil)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), awaitTimeout)
	defer cancel()
	ts.Check(j.Open(ctx))
	now := time.Now()
	ts.Check(errors.Join(j.Append(ctx, jauge.Page{
		Platform: "myspace", Account: "tom", Handle: "tom", Run: "run", RunStart: now, ObservedAt: now,
		Observations: []jauge.Observation{{
			Object: jauge.ObjectAccount, ID: "tom", Period: jauge.PeriodInstant, Values: []jauge.WireValue{{Wire: "friends", Value: 1}},
		}},
	}), j.Close(ctx)))
}

// signalCommand sends a signal to the owner of the data directory: signal HUP.
func signalCommand(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	pid := readPID(filepath.Join(ts.Getenv("JAUGE_DATA_DIR"), lockName))
	if pid == 0 {
		ts.Fatalf("nobody owns the data directory")
	}
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

// getCommand reads a path of the daemon: get PATH STATUS [REGEXP].
func getCommand(ts *testscript.TestScript, neg bool, args []string) {
	status, body := httpGet(ts, args[0])
	if ok := matches(status, body, args[1:]); ok == neg {
		ts.Fatalf("%s gave %d:\n%s", args[0], status, body)
	}
}

// awaitCommand waits until a path of the daemon answers so: await PATH STATUS [REGEXP].
func awaitCommand(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(awaitTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		status, body := httpGet(ts, args[0])
		if matches(status, body, args[1:]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s still gives %d:\n%s", args[0], status, body)
		}
		<-tick.C
	}
}

func matches(status int, body string, want []string) bool {
	return strconv.Itoa(status) == want[0] && (len(want) == 1 || regexp.MustCompile(want[1]).MatchString(body))
}

func httpGet(ts *testscript.TestScript, path string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ts.Getenv("JAUGE_LISTEN")+path, nil)
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, string(b)
}
