package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Part is one part of the daemon that may be degraded.
type Part struct {
	Name string
	// Check returns why the part is degraded, nil where it is well. It is bounded by ctx.
	Check func(ctx context.Context) error
}

// checkTimeout bounds a check: a part that does not answer in this time is degraded.
const checkTimeout = 2 * time.Second

// Health serves /metrics, /healthz and /readyz. /healthz tells only that the process answers: restarting it would mend
// nothing that it depends on. /readyz asks every part and answers 503 while one is degraded.
func Health(reg prometheus.Gatherer, parts []Part) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		s := Ask(ctx, parts)
		w.Header().Set("Content-Type", "application/json")
		if s.Status != StatusOK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(s) // the client went away: nothing to do
	})
	return mux
}

// The states of a part and of the whole.
const (
	StatusOK       = "ok"
	StatusDegraded = "degraded"
)

// Status is what /readyz answers.
type Status struct {
	Status string       `json:"status"`
	Parts  []PartStatus `json:"parts"`
}

// PartStatus is the state of one part.
type PartStatus struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Why    string `json:"why,omitempty"`
}

// Ask checks every part at once and waits until all have answered or ctx has ended.
func Ask(ctx context.Context, parts []Part) Status {
	s := Status{Status: StatusOK, Parts: make([]PartStatus, len(parts))}
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() {
			s.Parts[i] = PartStatus{Name: p.Name, Status: StatusOK}
			if err := p.Check(ctx); err != nil {
				s.Parts[i].Status, s.Parts[i].Why = StatusDegraded, err.Error()
			}
		})
	}
	wg.Wait()
	for _, p := range s.Parts {
		if p.Status != StatusOK {
			s.Status = StatusDegraded
		}
	}
	return s
}
