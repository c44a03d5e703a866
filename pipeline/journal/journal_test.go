package journal_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline/journal"
	"jauge.dev/jauge/pipeline/journal/journaltest"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m, leaks...)
}

// leaks are goroutines that are not ours to end: the server forgets the writer of an atomic batch that a full stream or
// disk cut off, one goroutine for each such event.
var leaks = []goleak.Option{goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop")}

// small is a configuration that a test can fill.
func small(dir string) journal.Config {
	return journal.Config{
		Dir: dir, MaxBytes: 64 << 20, ArchiveMaxBytes: 64 << 20, DeadMaxBytes: 16 << 20, Timeout: 2 * time.Second,
	}
}

func open(t testing.TB, cfg journal.Config) *journal.Journal {
	t.Helper()
	j, err := journal.New(cfg, testLog(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	if err := j.Open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := j.Close(closing(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return j
}

func TestEmbedded(t *testing.T) {
	journaltest.Run(t, func(t testing.TB) journaltest.Deployment {
		return deployment(small(t.TempDir()))
	})
}

func TestCluster(t *testing.T) {
	journaltest.Run(t, func(t testing.TB) journaltest.Deployment {
		cfg := small("")
		cfg.URL = jauge.Secret(startCluster(t, t.TempDir()))
		return deployment(cfg)
	})
}

func deployment(cfg journal.Config) journaltest.Deployment {
	return journaltest.Deployment{Open: func(t testing.TB, change func(*journal.Config)) *journal.Journal {
		c := cfg
		if change != nil {
			change(&c)
		}
		return open(t, c)
	}}
}

// startCluster starts a server with a port, as an operator would run one beside jauge, and returns its URL.
func startCluster(t testing.TB, dir string) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(dir, "nats"),
		JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 20, NoSigs: true, NoLog: true,
		Username: "jauge", Password: "s3cr3t-password",
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("cluster did not start")
	}
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	addr, ok := srv.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("cluster has address %v", srv.Addr())
	}
	return "nats://jauge:s3cr3t-password@" + addr.String()
}
