//go:build integration

package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStoresAgree reads a network three times into SQLite, then replays the journal's archive into InfluxDB: both
// stores hold the same rows, and the program prints the same of them.
func TestStoresAgree(t *testing.T) {
	wholeDay(t, 10*time.Minute)
	g := plant(t, 47)
	one := install(t, g.config(), "JAUGE_BLUESKY_BASE_URL="+g.app)
	for range 3 {
		g.live(60, g.tracked()...)
		g.undo(g.some(g.tracked()...))
		g.withdraw(g.some(g.tracked()...))
		g.ledger.collect(t, one, g, one.sqlite())
	}
	other := one.clone()
	if err := os.Remove(string(other.sqlite())); err != nil {
		t.Fatal(err)
	}
	b := influxEnv(t)
	other.set(b.env()...)
	other.must("replay")

	want, got := dumpOf(t, one.sqlite()), dumpOf(t, b)
	for _, m := range measurements() {
		if diff := cmp.Diff(want[m], got[m]); diff != "" {
			t.Errorf("%s (-SQLite +InfluxDB):\n%s", m, tail(diff, 4000))
		}
		args := []string{"query", m, "--format", "csv"}
		if diff := cmp.Diff(lines(one.must(args...)), lines(other.must(args...))); diff != "" {
			t.Errorf("jauge %s (-SQLite +InfluxDB):\n%s", strings.Join(args, " "), tail(diff, 4000))
		}
	}
	for _, window := range []string{"day", "7d", "28d"} {
		args := []string{"kpi", "--window", window, "--format", "json"}
		if diff := cmp.Diff(one.must(args...), other.must(args...)); diff != "" {
			t.Errorf("jauge %s (-SQLite +InfluxDB):\n%s", strings.Join(args, " "), tail(diff, 4000))
		}
	}

	// Once more, into the store that holds it all: nothing changes.
	other.must("replay")
	if diff := cmp.Diff(got, dumpOf(t, b)); diff != "" {
		t.Errorf("a second replay changed the store (-first +second):\n%s", tail(diff, 4000))
	}
}

// lines splits a text and sorts: rows of one instant may come in any order.
func lines(s string) []string { return slices.Sorted(strings.Lines(s)) }

// TestStartAndStop measures the time from exec to /readyz, and stops the daemon by SIGTERM: exit code 0.
func TestStartAndStop(t *testing.T) {
	v := raise(t, 3, 10)
	j := install(t, v.config("1h"), "JAUGE_BLUESKY_BASE_URL="+v.url)
	j.must("collect", "--once")
	var best time.Duration
	for range 5 {
		began := time.Now()
		d := j.start()
		tick := time.NewTicker(2 * time.Millisecond)
		for status := 0; status != http.StatusOK && time.Since(began) < 30*time.Second; <-tick.C {
			status, _ = d.get("/readyz")
		}
		tick.Stop()
		took := time.Since(began)
		d.ready()
		d.stop()
		if best == 0 || took < best {
			best = took
		}
		t.Logf("exec to /readyz: %s", took.Round(time.Millisecond))
	}
	t.Logf("exec to /readyz, best of 5: %s (target 300ms)", best.Round(time.Millisecond))
}

// TestPrometheus lets Debian's Prometheus scrape the daemon, and promtool judge its metrics.
func TestPrometheus(t *testing.T) {
	for _, tool := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing (make testbed installs it): %v", tool, err)
		}
	}
	v := raise(t, 20, 10)
	j := install(t, v.config("1m"), "JAUGE_BLUESKY_BASE_URL="+v.url)
	d := j.start()
	d.ready()
	lint := func(when string) {
		t.Helper()
		_, metrics := d.get("/metrics")
		check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
		check.Stdin = strings.NewReader(metrics)
		if out, err := check.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("promtool check metrics, %s: %v\n%s", when, err, out)
		}
	}
	lint("right after the start")
	d.poll(time.Minute, "the first readings", func() (bool, string) {
		return v.calls("getAuthorFeed") >= 6, fmt.Sprint(v.calls("getAuthorFeed"))
	})
	lint("after some readings")

	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	config := filepath.Join(j.dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: jauge\n    static_configs: [{targets: [%q]}]\n", d.addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.CommandContext(t.Context(), "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(j.dir, "tsdb"),
		"--web.listen-address="+address, "--log.level=warn")
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Wait() }()
	t.Cleanup(func() { _ = server.Process.Kill(); <-ended })

	ask := func(q string) []string {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, body := httpGet(ctx, "http://"+address+"/api/v1/query?"+url.Values{"query": {q}}.Encode())
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  []any
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return nil
		}
		var out []string
		for _, r := range answer.Data.Result {
			out = append(out, fmt.Sprintf("%s=%v", r.Metric["__name__"], r.Value[1]))
		}
		return out
	}
	poll(t, time.Minute, "Prometheus to call the target up", func() (bool, string) {
		up := ask(`up{job="jauge"}`)
		return len(up) == 1 && up[0] == "up=1", fmt.Sprint(up)
	})
	for _, name := range []string{
		"jauge_build_info", "jauge_api_calls_total", "jauge_journal_messages", "jauge_journal_oldest_seconds",
		"jauge_pipeline_records_total", "jauge_store_write_seconds_count", "jauge_store_failures_total",
	} {
		if len(ask(name)) == 0 {
			t.Errorf("Prometheus has no series %s", name)
		}
	}
	d.stop()
}
