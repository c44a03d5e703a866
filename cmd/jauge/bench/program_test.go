package bench_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge/collectors/bluesky/bskyfake"
)

// program is a running daemon.
type program struct {
	cmd    *exec.Cmd
	listen string
	dir    string
}

// build makes the program once.
func build(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "jauge")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", bin, "jauge.dev/jauge/cmd/jauge").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func start(b *testing.B, bin, dir string, env ...string) *program {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	p := &program{listen: l.Addr().String(), dir: dir}
	_ = l.Close()
	p.cmd = exec.CommandContext(b.Context(), bin, "run", "--config", filepath.Join(dir, "jauge.yaml"),
		"--data-dir", filepath.Join(dir, "data"), "--listen", p.listen, "--log-level", "error")
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.stop)
	return p
}

func (p *program) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// ready polls /readyz until it answers 200.
func (p *program) ready(b *testing.B) {
	b.Helper()
	for ctx := b.Context(); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen+"/readyz", nil)
		if err != nil {
			b.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		pause(b, time.Millisecond)
	}
}

func pause(b *testing.B, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}

// metrics reads /metrics and adds up the series of each name.
func (p *program) metrics(b *testing.B) map[string]float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen+"/metrics", nil)
	if err != nil {
		b.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	out := map[string]float64{}
	for s := bufio.NewScanner(io.LimitReader(res.Body, 64<<20)); s.Scan(); {
		name, value, ok := strings.Cut(s.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		series := name
		name, _, _ = strings.Cut(name, "{")
		if i := strings.LastIndexByte(s.Text(), ' '); i > 0 {
			value = s.Text()[i+1:]
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] += v
			if series != name {
				out[series] += v
			}
		}
	}
	return out
}

// memory reads resident and peak memory of the process, in MiB.
func (p *program) memory(b *testing.B) (rss, peak float64) {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			rss = kib / 1024
		case "VmHWM:":
			peak = kib / 1024
		}
	}
	return rss, peak
}

// BenchmarkStart measures from exec to /readyz, on a new data directory and on the one that is there then.
func BenchmarkStart(b *testing.B) {
	bin := build(b)
	srv := httptest.NewServer(bskyfake.New())
	b.Cleanup(srv.Close)
	dir := b.TempDir()
	config(b, dir, 1, 1)
	for b.Loop() {
		p := start(b, bin, dir, "JAUGE_BLUESKY_BASE_URL="+srv.URL)
		p.ready(b)
		b.StopTimer()
		p.stop()
		b.StartTimer()
	}
}

func config(b *testing.B, dir string, accounts, perBrand int) {
	b.Helper()
	var y strings.Builder
	y.WriteString("brands:\n")
	for i := range accounts {
		if i%perBrand == 0 {
			fmt.Fprintf(&y, "  - name: brand-%d\n    accounts:\n", i/perBrand)
		}
		fmt.Fprintf(&y, "      - {platform: bluesky, handle: a%d.example}\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "jauge.yaml"), []byte(y.String()), 0o600); err != nil {
		b.Fatal(err)
	}
}

// bigBrand is how many accounts a brand of BenchmarkMemory has. Brands of five, as in the drain, make four times as many
// of them, and a round of hours, since hardly any fits into the cache.
const bigBrand = 20

// BenchmarkMemory reads 10,000 accounts with 100 posts each once, and tells what the daemon holds when all is stored
// and a while has passed, and its peak.
func BenchmarkMemory(b *testing.B) {
	accounts, posts := accountsFlag(b), 100
	bin := build(b)
	fake := bskyfake.New()
	for i := range accounts {
		fake.Generate(fmt.Sprintf("a%d.example", i), posts, time.Now().Add(-time.Hour), 20*time.Hour)
	}
	srv := httptest.NewServer(fake)
	b.Cleanup(srv.Close)
	for b.Loop() {
		dir := b.TempDir()
		config(b, dir, accounts, bigBrand)
		p := start(b, bin, dir, "JAUGE_BLUESKY_BASE_URL="+srv.URL, "JAUGE_HTTP_LIMIT_FACTOR=1000000")
		p.ready(b)
		for began := time.Now(); ; pause(b, time.Second) {
			m := p.metrics(b)
			done := m[`jauge_runs_total{outcome="ok",platform="bluesky",task="refresh"}`]
			if done >= float64(accounts) && m[`jauge_journal_messages{stream="work"}`] == 0 {
				b.ReportMetric(time.Since(began).Seconds(), "round-s")
				break
			}
		}
		_, peak := p.memory(b)
		pause(b, 75*time.Second) // the daemon gives memory back every minute
		rss, _ := p.memory(b)
		m := p.metrics(b)
		b.ReportMetric(rss, "rss-MiB")
		b.ReportMetric(peak, "peak-MiB")
		b.ReportMetric(m["jauge_posts_known"], "posts")
		p.stop()
	}
}

// accountsFlag is how many accounts BenchmarkMemory reads: 10,000, or what JAUGE_BENCH_ACCOUNTS says.
func accountsFlag(b *testing.B) int {
	b.Helper()
	s := os.Getenv("JAUGE_BENCH_ACCOUNTS")
	if s == "" {
		return 10_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		b.Fatalf("JAUGE_BENCH_ACCOUNTS is %q: give a number of accounts", s)
	}
	return n
}
