package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"jauge.dev/jauge/internal/web"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealth(t *testing.T) {
	var storeErr error
	h := web.Health(prometheus.NewRegistry(), []web.Part{
		{Name: "journal", Check: func(context.Context) error { return nil }},
		{Name: "store", Check: func(context.Context) error { return storeErr }},
	})
	if code, body := get(t, h, "/readyz"); code != http.StatusOK || !strings.Contains(body, `"status": "ok"`) {
		t.Errorf("readyz of a healthy daemon gave %d %s", code, body)
	}
	storeErr = errors.New("connection refused")
	code, body := get(t, h, "/readyz")
	var s web.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatal(err)
	}
	want := web.Status{Status: web.StatusDegraded, Parts: []web.PartStatus{
		{Name: "journal", Status: web.StatusOK}, {Name: "store", Status: web.StatusDegraded, Why: "connection refused"},
	}}
	if diff := cmp.Diff(want, s); code != http.StatusServiceUnavailable || diff != "" {
		t.Errorf("readyz gave %d, and (-want +got):\n%s", code, diff)
	}
	if code, body := get(t, h, "/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz with a store down gave %d %q", code, body)
	}
}

type step struct{ N int }

func serve(t *testing.T, path string, commands map[string]web.Command) {
	t.Helper()
	l, err := web.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, l, web.Commands(commands), slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
}

func TestCommandOverSocket(t *testing.T) {
	for name, dir := range map[string]string{
		"short path": t.TempDir(), "path longer than the kernel takes": filepath.Join(t.TempDir(), strings.Repeat("d", 120)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "jauge.sock")
			if err := os.WriteFile(path, nil, 0o600); err != nil { // left by a process that was killed
				t.Fatal(err)
			}
			serve(t, path, map[string]web.Command{
				"count": func(_ context.Context, req json.RawMessage, progress func(any)) (any, error) {
					var s step
					if err := json.Unmarshal(req, &s); err != nil {
						return nil, err
					}
					for i := range s.N {
						progress(step{i})
					}
					return step{s.N}, errors.New("one account failed")
				},
			})
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("the socket's mode is %v (%v), want 0600", fi.Mode(), err)
			}
			var steps int
			var got step
			err := web.Call(t.Context(), web.Dial(path), "count", step{3}, func(json.RawMessage) { steps++ }, &got)
			remote, ok := errors.AsType[*web.RemoteError](err)
			if !ok || remote.Text != "one account failed" {
				t.Errorf("the error is %v, want the command's own", err)
			}
			if steps != 3 || got.N != 3 {
				t.Errorf("got %d steps and result %d, want 3 and 3", steps, got.N)
			}
		})
	}
}

func TestCallTellsOfAnUnknownCommandAndOfADaemonThatDied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jauge.sock")
	serve(t, path, nil)
	if err := web.Call(t.Context(), web.Dial(path), "dance", nil, nil, nil); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("an unknown command gave %v", err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"progress":{"N":1}}`+"\n")
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	err = web.Call(t.Context(), web.Dial(l.Addr().String()), "count", nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "stopped before") {
		t.Errorf("a daemon that died half-way gave %v", err)
	}
	if err := errors.Join(srv.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
