package rest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal("test has ended")
	}
}

// wantMetric looks for a line of the exposition.
func wantMetric(t *testing.T, reg prometheus.Gatherer, name, line string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if f.GetName() == name {
			if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains("\n"+b.String(), "\n"+line+"\n") {
		t.Errorf("no line %q in\n%s", line, b.String())
	}
}

func TestStateOfHostsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := platform()
		p.Limit = collectors.Limit{Calls: 300, In: 5 * time.Minute}
		cfg := rest.Default()
		hc := client(t, p, cfg, &counting{})
		ask := func(from, to int) {
			for i := from; i < to; i++ {
				url := fmt.Sprintf("http://host%d.test/", i)
				if _, _, err := rest.Get[doc](t.Context(), hc, "read", url); err != nil {
					t.Fatal(err)
				}
			}
		}
		ask(0, 5000)
		before := heap()
		ask(5000, 30_000)
		if grown := heap() - before; grown > 2<<20 {
			t.Errorf("25,000 more hosts left %d KiB behind", grown>>10)
		}
		wait(t, 2*time.Hour)
		ask(0, 1)
		if freed := before - heap(); freed < 1<<20 {
			t.Errorf("idle hosts are kept: only %d KiB freed", freed>>10)
		}
	})
}

type counting struct{}

func (*counting) ServeHTTP(w http.ResponseWriter, r *http.Request) { fine(w, r) }

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below the bound
}

func TestManyGoroutinesShareAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := platform()
		p.Limit = collectors.Limit{Calls: 600, In: time.Minute}
		cfg := rest.Default()
		cfg.MaxInFlight = 3
		var under, most, total atomic.Int64
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), under.Add(1)))
			wait(t, 10*time.Millisecond)
			under.Add(-1)
			if total.Add(1)%7 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fine(w, r)
		})
		hc := client(t, p, cfg, h)
		var wg sync.WaitGroup
		for n := range 20 {
			wg.Go(func() {
				for i := range 20 {
					url := fmt.Sprintf("http://host%d.test/", (n+i)%5)
					if _, _, err := rest.Get[doc](t.Context(), hc, "read", url); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if most.Load() > 3 || total.Load() < 400 {
			t.Errorf("%d at once, want at most 3; %d in all", most.Load(), total.Load())
		}
	})
}
