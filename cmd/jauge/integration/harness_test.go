//go:build integration

// Package integration_test drives the built program from outside, as a stranger would: through its configuration, its
// commands, its HTTP addresses and the rows that it leaves in SQLite and InfluxDB. It imports nothing of the program but
// a stand-in for a platform.
//
//	a real platform ──▶ jauge (the binary) ──▶ SQLite or InfluxDB
//	      ▲                                          │
//	      └── made by the test, truth kept beside ──▶ ledger compares
//
// The servers' addresses come from the environment (make testbed); a test whose server is missing fails.
package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test: built once, or the one that JAUGE_TEST_BINARY names.
var binary = os.Getenv("JAUGE_TEST_BINARY")

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "jauge-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "jauge")
	build := exec.Command("go", "build", "-o", binary, "jauge.dev/jauge/cmd/jauge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// needEnv returns a variable that names a server; without it the test fails, it is not skipped.
func needEnv(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: bring up the servers with `make testbed`, then run `make integration`", name)
	}
	return v
}

// jauge is one installation of the program: a configuration, an environment and a data directory.
type jauge struct {
	t      *testing.T
	dir    string // holds the configuration
	data   string // the data directory
	config string
	env    map[string]string
}

// install makes an installation with a configuration file. Environment variables are given as NAME=value.
func install(t *testing.T, config string, env ...string) *jauge {
	t.Helper()
	// Short, since a socket's path within must stay below 108 bytes.
	dir, err := os.MkdirTemp("", "jg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, dir) })
	j := &jauge{t: t, dir: dir, data: filepath.Join(dir, "data"), config: filepath.Join(dir, "jauge.yaml"), env: map[string]string{
		"JAUGE_LOG_FORMAT": "json", "JAUGE_HTTP_LIMIT_FACTOR": "1000", "JAUGE_CONTACT": "integration@test.invalid",
	}}
	j.set(env...)
	j.configure(config)
	return j
}

func removeAll(t *testing.T, dir string) {
	if t.Failed() && os.Getenv("JAUGE_TEST_KEEP") != "" {
		t.Logf("kept: %s", dir)
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("remove %s: %v", dir, err)
	}
}

func (j *jauge) set(env ...string) {
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		j.env[k] = v
	}
}

func (j *jauge) configure(config string) {
	j.t.Helper()
	if err := os.WriteFile(j.config, []byte(config), 0o600); err != nil {
		j.t.Fatal(err)
	}
}

// clone copies the installation, data directory and all; the program must not be running.
func (j *jauge) clone() *jauge {
	j.t.Helper()
	text, err := os.ReadFile(j.config)
	if err != nil {
		j.t.Fatal(err)
	}
	c := install(j.t, string(text))
	maps.Copy(c.env, j.env)
	if err := os.CopyFS(c.data, os.DirFS(j.data)); err != nil {
		j.t.Fatalf("copy the data directory: %v", err)
	}
	return c
}

func (j *jauge) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = j.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.dir, "TMPDIR=" + os.TempDir(), "JAUGE_CONFIG=" + j.config, "JAUGE_DATA_DIR=" + j.data}
	for k, v := range j.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n-- stdout\n%s\n-- stderr\n%s", r.code, tail(r.stdout, 3000), tail(r.stderr, 3000))
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// commandLimit bounds every command: one that hangs is killed, and its test fails.
const commandLimit = 3 * time.Minute

// run runs a command to its end.
func (j *jauge) run(args ...string) result {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), commandLimit)
	defer cancel()
	cmd := j.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		j.t.Fatalf("jauge %s: %v", strings.Join(args, " "), err)
	}
	if ctx.Err() != nil {
		j.t.Fatalf("jauge %s did not end in %s\n%s", strings.Join(args, " "), commandLimit, tail(stderr.String(), 3000))
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs a command that has to succeed and returns what it printed.
func (j *jauge) must(args ...string) string {
	j.t.Helper()
	r := j.run(args...)
	if r.code != 0 {
		j.t.Fatalf("jauge %s: %s", strings.Join(args, " "), r)
	}
	return r.stdout
}

// daemon is a running process of the program: `jauge run`, or a command that was begun.
type daemon struct {
	*jauge
	cmd  *exec.Cmd
	addr string
	log  *os.File
	done chan struct{} // closed when the process has ended
}

// start starts `jauge run` and returns as soon as the process exists.
func (j *jauge) start() *daemon {
	j.t.Helper()
	return j.listen(fmt.Sprintf("127.0.0.1:%d", freePort(j.t)))
}

// listen is start at an address that is given, which may be reached from elsewhere.
func (j *jauge) listen(address string) *daemon {
	j.t.Helper()
	d := j.begin("run", "--listen", address)
	d.addr = strings.Replace(address, "0.0.0.0", "127.0.0.1", 1)
	return d
}

// begin starts a command and returns as soon as the process exists.
func (j *jauge) begin(args ...string) *daemon {
	j.t.Helper()
	log, err := os.CreateTemp(j.dir, "run-*.log")
	if err != nil {
		j.t.Fatal(err)
	}
	cmd := j.command(context.Background(), args...) // it outlives t.Context(), which ends before the cleanups run
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	d := &daemon{jauge: j, cmd: cmd, log: log, done: make(chan struct{})}
	go func() { defer close(d.done); _ = cmd.Wait() }()
	j.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-d.done
		_ = log.Close()
	})
	return d
}

// get reads an address of the daemon; status 0 means that nobody answered.
func (d *daemon) get(path string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return httpGet(ctx, "http://"+d.addr+path)
}

// ready waits until /readyz answers 200.
func (d *daemon) ready() {
	d.t.Helper()
	d.poll(60*time.Second, "readiness", func() (bool, string) {
		status, body := d.get("/readyz")
		return status == http.StatusOK, fmt.Sprintf("/readyz: %d %s", status, body)
	})
}

// poll waits for a condition that the living daemon shall bring about.
func (d *daemon) poll(limit time.Duration, what string, cond func() (bool, string)) {
	d.t.Helper()
	poll(d.t, limit, what, func() (bool, string) {
		select {
		case <-d.done:
			d.t.Fatalf("waiting for %s: the daemon ended (%s)\n%s", what, d.cmd.ProcessState, d.tail())
		default:
		}
		ok, state := cond()
		if !ok {
			state += "\n" + d.tail()
		}
		return ok, state
	})
}

func (d *daemon) tail() string { return tail(readFile(d.t, d.log.Name()), 3000) }

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// end sends SIGTERM and waits for the end.
func (d *daemon) end() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatalf("SIGTERM: %v\n%s", err, d.tail())
	}
	select {
	case <-d.done:
	case <-time.After(60 * time.Second):
		d.t.Fatalf("the program did not stop in a minute after SIGTERM\n%s", d.tail())
	}
}

// stop ends the daemon, which must leave with exit code 0.
func (d *daemon) stop() {
	d.t.Helper()
	d.end()
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Fatalf("after SIGTERM the daemon ended with %s, want exit code 0\n%s", d.cmd.ProcessState, d.tail())
	}
}

// kill ends the daemon without warning (SIGKILL).
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

// poll asks again and again until the condition holds; what was seen last is told when it never does.
func poll(t *testing.T, limit time.Duration, what string, cond func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, state := cond()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s; at last: %s", limit, what, state)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("test ended while waiting for %s; at last: %s", what, state)
		}
	}
}

// freePort finds a port below the range that outgoing connections take theirs from.
func freePort(t *testing.T) int {
	t.Helper()
	for range 200 {
		port := 15000 + rand.IntN(17000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no free port found in 200 tries")
	return 0
}

// wholeDay sees to it that the test does not run across midnight UTC, where a day's figures go on in another row: it
// waits until the day is over when less than the given time is left of it.
func wholeDay(t *testing.T, need time.Duration) {
	t.Helper()
	now := time.Now().UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	if midnight.Sub(now) > need {
		return
	}
	t.Logf("waiting for midnight UTC: the test compares figures of one day")
	poll(t, need+time.Minute, "midnight", func() (bool, string) { return time.Now().After(midnight), "not yet" })
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }
