//go:build integration

package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jauge.dev/jauge/pipeline/journal"
)

// smallDisk mounts a disk of its own in memory; it needs the rights to mount.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Fatalf("mount a small disk (run this test as root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until the disk has no byte left.
func fill(t *testing.T, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "filler")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	return file
}

// load appends pages of several accounts, each until it is acknowledged, and settles what comes.
type load struct {
	j     *journal.Journal
	acked atomic.Int64
	full  atomic.Int64
	stop  atomic.Bool
	mu    sync.Mutex
	sent  map[string]bool
	came  map[string]bool
	order map[string]int
	bad   []string
}

func (l *load) collector(ctx context.Context, account string) {
	for i := 0; !l.stop.Load() && ctx.Err() == nil; i++ {
		p := samplePage(account, i, 50)
		for {
			err := l.j.Append(ctx, p)
			if err == nil {
				break
			}
			if errors.Is(err, journal.ErrFull) {
				l.full.Add(1)
			}
			timer := time.NewTimer(20 * time.Millisecond)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		l.acked.Add(1)
		l.mu.Lock()
		l.sent[fmt.Sprint(account, " ", i)] = true
		l.mu.Unlock()
	}
}

func (l *load) pipeline(ctx context.Context) {
	for ctx.Err() == nil {
		msgs, err := l.j.Next(ctx, 20)
		if err != nil {
			return
		}
		l.mu.Lock()
		for _, m := range msgs {
			if m.Err != nil {
				l.bad = append(l.bad, m.Err.Error())
			}
			if at, ok := l.order[m.Page.Account]; ok && m.Page.Seq > at+1 {
				l.bad = append(l.bad, fmt.Sprintf("%s: page %d came after page %d", m.Page.Account, m.Page.Seq, at))
			}
			l.order[m.Page.Account] = max(l.order[m.Page.Account], m.Page.Seq)
			l.came[fmt.Sprint(m.Page.Account, " ", m.Page.Seq)] = true
		}
		l.mu.Unlock()
		for ctx.Err() == nil && l.j.Settle(ctx, msgs) != nil {
			timer := time.NewTimer(20 * time.Millisecond)
			<-timer.C
		}
	}
}

func newLoad(j *journal.Journal) *load {
	return &load{j: j, sent: map[string]bool{}, came: map[string]bool{}, order: map[string]int{}}
}

// check waits until all that was acknowledged has come and was settled.
func (l *load) check(t *testing.T) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(l.j.State(closing(t)))
		}
	}()
	eventually(t, "the journal to be drained", func() bool {
		n, _, err := l.j.Pending(t.Context())
		return err == nil && n == 0
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := 0
	for k := range l.sent {
		if !l.came[k] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged pages are lost", lost, len(l.sent))
	}
	if len(l.bad) > 0 {
		t.Errorf("%d faults, the first: %s", len(l.bad), l.bad[0])
	}
	n, err := l.j.Archived(t.Context())
	if err != nil || n < uint64(len(l.sent)) {
		t.Errorf("%d archived of %d (%v)", n, len(l.sent), err)
	}
}

// TestDiskFull fills the disk to the last byte under load, three times: each time the server is stuck, the health says
// why, and when there is space again everything goes on by itself and nothing that was acknowledged is lost.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "200m")
	cfg := small(filepath.Join(disk, "journal"))
	cfg.MinFree = 1 // no room kept: the server itself hits the wall
	cfg.Timeout = time.Second
	j := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := newLoad(j)
	var collectors, pipe sync.WaitGroup
	for a := range 3 {
		collectors.Go(func() { l.collector(ctx, fmt.Sprint("did:plc:", a)) })
	}
	pipe.Go(func() { l.pipeline(ctx) })
	for round := range 3 {
		goal := l.acked.Load() + 50
		eventually(t, "pages to be acknowledged", func() bool { return l.acked.Load() >= goal })
		filler := fill(t, disk)
		eventually(t, fmt.Sprint("health to say that the disk is full, round ", round), func() bool {
			return errors.Is(j.Health(), journal.ErrDiskFull)
		})
		before := l.full.Load()
		eventually(t, "collectors to be told to wait", func() bool { return l.full.Load() > before })
		if !strings.Contains(j.Health().Error(), "no space left") {
			t.Errorf("health: %v", j.Health())
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		eventually(t, "health after there is space", func() bool { return j.Health() == nil })
	}
	goal := l.acked.Load() + 50
	eventually(t, "pages to be acknowledged at the end", func() bool { return l.acked.Load() >= goal })
	l.stop.Store(true)
	collectors.Wait()
	l.check(t)
	cancel()
	pipe.Wait()
	t.Logf("%d pages acknowledged, %d refusals", l.acked.Load(), l.full.Load())
}

// TestDiskLow lets the disk come near its end: Append refuses before the server is stuck, and the pipeline goes on.
func TestDiskLow(t *testing.T) {
	disk := smallDisk(t, "128m")
	j := open(t, small(filepath.Join(disk, "journal")))
	for i := range 20 {
		if err := j.Append(t.Context(), samplePage("a", i, 50)); err != nil {
			t.Fatal(err)
		}
	}
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(f, zeros{}, 121<<20) // an eighth of the 8 MiB that are kept free is gone
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "append to refuse", func() bool {
		return errors.Is(j.Append(t.Context(), samplePage("a", 20, 50)), journal.ErrDiskFull)
	})
	if h := j.Health(); !errors.Is(h, journal.ErrDiskFull) {
		t.Errorf("health: %v", h)
	}
	msgs := take(t, j, 20)
	if err := j.Settle(t.Context(), msgs); err != nil {
		t.Errorf("settle with little space: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "append to go on", func() bool { return j.Append(t.Context(), samplePage("a", 20, 50)) == nil })
}

// TestOpenOnFullDisk opens a journal, an old and a new one, where there is no space: it comes up, says so, and takes
// pages as soon as there is.
func TestOpenOnFullDisk(t *testing.T) {
	for _, old := range []bool{false, true} {
		disk := smallDisk(t, "64m")
		dir := filepath.Join(disk, "journal")
		if old {
			filled(t, dir, 10)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		filler := fill(t, disk)
		j := open(t, small(dir))
		if h := j.Health(); !errors.Is(h, journal.ErrDiskFull) {
			t.Errorf("health: %v", h)
		}
		if err := j.Append(t.Context(), samplePage("b", 0, 5)); !errors.Is(err, journal.ErrDiskFull) {
			t.Errorf("append: %v", err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		eventually(t, "append to go on", func() bool { return j.Append(t.Context(), samplePage("b", 0, 5)) == nil })
		want := 1
		if old {
			want = 11
		}
		if n, _, err := j.Pending(t.Context()); n != want || err != nil {
			t.Errorf("%d pending (%v), want %d", n, err, want)
		}
		if p := j.PutAside(); p != "" {
			t.Errorf("a journal on a full disk was put aside in %s", p)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
