package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge/pipeline/journal"
)

// childDir names the journal that the test binary, started again, appends to until it is killed.
const childDir = "JAUGE_JOURNAL_TEST_DIR"

// child is the other process of the crash test: it appends pages and says on standard output which were acknowledged.
func child() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	ctx := context.Background()
	j, err := journal.New(small(dir), nil, nil)
	if err == nil {
		err = j.Open(ctx)
	}
	if err != nil {
		fmt.Println("error", err)
		return true
	}
	run := strconv.Itoa(os.Getpid())
	for i := 0; ; i++ {
		p := samplePage("did:plc:abc", i, 20)
		p.Run = run
		if err := j.Append(ctx, p); err != nil {
			fmt.Println("error", err)
			return true
		}
		fmt.Println(run, i)
	}
}

func TestKilledWhileAppending(t *testing.T) {
	dir := t.TempDir()
	acked := make(map[string]bool)
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$") //nolint:gosec // the test itself
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for lines := bufio.NewScanner(out); lines.Scan(); n++ {
			if strings.HasPrefix(lines.Text(), "error") {
				t.Fatal(lines.Text())
			}
			acked[lines.Text()] = true
			if n == 50*(round+1)+7*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
	}

	j := open(t, small(dir))
	n, _, err := j.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n < len(acked) || n > len(acked)+4 {
		t.Errorf("%d pages in the journal, %d were acknowledged in 4 rounds", n, len(acked))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	next := make(map[string]int)
	for got := 0; got < n; {
		msgs, err := j.Next(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			if m.Err != nil || m.Page.Seq != next[m.Page.Run] || len(m.Page.Observations) != 21 {
				t.Fatalf("page %d of run %s where %d was due (%v)", m.Page.Seq, m.Page.Run, next[m.Page.Run], m.Err)
			}
			next[m.Page.Run]++
			delete(acked, fmt.Sprint(m.Page.Run, " ", m.Page.Seq))
		}
		got += len(msgs)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged pages are gone", len(acked))
	}
	if p := j.PutAside(); p != "" {
		t.Errorf("a journal that was killed was put aside in %s", p)
	}
}
