//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// talk is a command that asks and is answered while it runs.
type talk struct {
	*jauge
	args     []string
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, err string // the files that it writes to
	done     chan struct{}
}

// talk starts a command and returns as soon as the process exists.
func (j *jauge) talk(args ...string) *talk {
	j.t.Helper()
	dir, err := os.MkdirTemp(j.dir, "talk-")
	if err != nil {
		j.t.Fatal(err)
	}
	k := &talk{jauge: j, args: args, out: filepath.Join(dir, "stdout"), err: filepath.Join(dir, "stderr"), done: make(chan struct{})}
	k.cmd = j.command(context.Background(), args...) // it outlives t.Context(), which ends before the cleanups run
	stdout, err := os.Create(k.out)
	if err != nil {
		j.t.Fatal(err)
	}
	stderr, err := os.Create(k.err)
	if err != nil {
		j.t.Fatal(err)
	}
	k.cmd.Stdout, k.cmd.Stderr = stdout, stderr
	if k.stdin, err = k.cmd.StdinPipe(); err != nil {
		j.t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	go func() { defer close(k.done); _ = k.cmd.Wait() }()
	j.t.Cleanup(func() {
		_ = k.cmd.Process.Kill()
		<-k.done
		_ = stdout.Close()
		_ = stderr.Close()
	})
	return k
}

// said is what the command has written until now.
func (k *talk) said() result {
	r := result{code: -1}
	for file, to := range map[string]*string{k.out: &r.stdout, k.err: &r.stderr} {
		b, err := os.ReadFile(file)
		if err != nil {
			k.t.Fatal(err)
		}
		*to = string(b)
	}
	select {
	case <-k.done:
		r.code = k.cmd.ProcessState.ExitCode()
	default:
	}
	return r
}

// address waits for the address that is to be opened, which stands on a line of its own.
func (k *talk) address() string {
	k.t.Helper()
	var found string
	poll(k.t, 30*time.Second, "an address on a line of its own", func() (bool, string) {
		r := k.said()
		for line := range strings.Lines(r.stdout + "\n" + r.stderr) {
			line = strings.TrimRight(line, "\r\n")
			if u, err := url.Parse(line); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
				found = line
				return true, ""
			}
		}
		if r.code >= 0 {
			k.t.Fatalf("jauge %s ended and printed no address: %s", strings.Join(k.args, " "), r)
		}
		return false, r.String()
	})
	return found
}

// answer writes a line to the command's standard input.
func (k *talk) answer(line string) {
	k.t.Helper()
	if _, err := io.WriteString(k.stdin, line+"\n"); err != nil {
		k.t.Fatalf("answer jauge %s: %v; it said: %s", strings.Join(k.args, " "), err, k.said())
	}
}

// wait waits for the end.
func (k *talk) wait() result {
	k.t.Helper()
	select {
	case <-k.done:
	case <-time.After(time.Minute):
		k.t.Fatalf("jauge %s did not end in a minute: %s", strings.Join(k.args, " "), k.said())
	}
	return k.said()
}

// listed is a row of `jauge accounts --format json`.
type listed struct {
	Brand, Platform, Account, Handle, State, Cause string
	AccountState                                   string `json:"account_state"`
	Since                                          string
	ExpiresAt                                      string `json:"expires_at"`
	LastSuccess                                    string `json:"last_success"`
	NextRun                                        string `json:"next_run"`
}

// fieldsOfAccounts are what the outer contract names.
var fieldsOfAccounts = []string{
	"brand", "platform", "account", "handle", "state", "since", "cause", "expires_at", "account_state", "last_success", "next_run",
}

// accounts asks for the list, which must have every field of the contract in every row.
func (j *jauge) accounts() []listed {
	j.t.Helper()
	out, err := j.tryAccounts()
	if err != nil {
		j.t.Fatal(err)
	}
	return out
}

func (j *jauge) tryAccounts() ([]listed, error) {
	r := j.run("accounts", "--format", "json")
	if r.code != 0 {
		return nil, fmt.Errorf("jauge accounts: %s", r)
	}
	return parseAccounts(r.stdout)
}

func parseAccounts(text string) ([]listed, error) {
	var raw []map[string]any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("jauge accounts --format json: %w: %s", err, tail(text, 1000))
	}
	for _, row := range raw {
		for _, f := range fieldsOfAccounts {
			if _, ok := row[f]; !ok {
				return nil, fmt.Errorf("jauge accounts --format json: a row has no field %q: %v", f, row)
			}
		}
	}
	var out []listed
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("jauge accounts --format json: %w: %s", err, tail(text, 1000))
	}
	return out, nil
}

// account finds the one row of a platform, and of a handle where one is given.
func (j *jauge) account(platform, handle string) listed {
	j.t.Helper()
	var found []listed
	all := j.accounts()
	for _, a := range all {
		if a.Platform == platform && (handle == "" || strings.TrimPrefix(a.Handle, "@") == handle) {
			found = append(found, a)
		}
	}
	if len(found) != 1 {
		j.t.Fatalf("jauge accounts shows %d rows of %s %s, want 1: %+v", len(found), platform, handle, all)
	}
	return found[0]
}

// utc demands an instant in UTC, as JSON has it.
func utc(t *testing.T, what, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Errorf("%s is %q, which is no instant: %v", what, text, err)
	}
	if !strings.HasSuffix(text, "Z") {
		t.Errorf("%s is %q, want UTC", what, text)
	}
	return at
}
