package rest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
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
