package natskv_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/natskv"
	"jauge.dev/jauge/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server with its files in dir.
func start(t testing.TB, dir string, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true,
		JetStreamMaxStore: 256 << 20, JetStreamMaxMemory: 16 << 20, DisableJetStreamBanner: true,
	}
	if change != nil {
		change(o)
	}
	srv, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { stop(srv) })
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not become ready")
	}
	return srv
}

func stop(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

func open(t testing.TB, url string) *natskv.Store {
	t.Helper()
	s, err := natskv.New(natskv.Config{URL: jauge.Secret(url)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// bucket speaks with the server behind the store's back.
func bucket(t *testing.T, srv *server.Server) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(t.Context(), "KV_"+natskv.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	return js, st
}

func save(t *testing.T, s *natskv.Store, key, value string, rev uint64) uint64 {
	t.Helper()
	next, err := s.SaveSealed(t.Context(), key, []byte(value), rev)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// Each time that it is opened the server itself starts anew on the same files.
func TestSealed(t *testing.T) {
	storagetest.RunSealed(t, func(t *testing.T) func() storagetest.SealedStore {
		t.Helper()
		dir := t.TempDir()
		var srv *server.Server
		var last *natskv.Store
		return func() storagetest.SealedStore {
			if srv != nil {
				_ = last.Close()
				stop(srv)
			}
			srv = start(t, dir, nil)
			last = open(t, srv.ClientURL())
			return last
		}
	})
}

func TestReplicasSeeOneAnother(t *testing.T) {
	srv := start(t, t.TempDir(), nil)
	a, b := open(t, srv.ClientURL()), open(t, srv.ClientURL())
	rev := save(t, a, "grant/a", "by a", 0)
	got, err := b.LoadSealed(t.Context(), "grant/a")
	if err != nil || string(got.Value) != "by a" || got.Rev != rev {
		t.Fatalf("b reads %+v %v", got, err)
	}
	save(t, b, "grant/a", "by b", rev)
	if _, err := a.SaveSealed(t.Context(), "grant/a", []byte("late"), rev); !errors.Is(err, jauge.ErrStale) {
		t.Errorf("a came too late and got %v", err)
	}
}

func TestBucketIsMadeAsPromised(t *testing.T) {
	srv := start(t, t.TempDir(), nil)
	s := open(t, srv.ClientURL())
	js, st := bucket(t, srv)
	check := func() {
		t.Helper()
		info, err := st.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := info.Config
		if c.Storage != jetstream.FileStorage || c.MaxMsgsPerSubject != 1 || c.AllowDirect || c.MaxAge != 0 || c.MaxBytes != -1 || !c.DenyDelete {
			t.Errorf("the bucket is %+v", c)
		}
	}
	check()
	save(t, s, "grant/a", "x", 0)
	// A bucket that somebody changed, or made by other means, is set right; what it holds stays.
	c := st.CachedInfo().Config
	c.AllowDirect, c.MaxMsgsPerSubject = true, 5
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	again := open(t, srv.ClientURL())
	check()
	if got, err := again.LoadSealed(t.Context(), "grant/a"); err != nil || string(got.Value) != "x" {
		t.Errorf("the record is %+v %v", got, err)
	}
}

func TestBucketInMemoryIsRefused(t *testing.T) {
	srv := start(t, t.TempDir(), nil)
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: natskv.Bucket, Storage: jetstream.MemoryStorage}); err != nil {
		t.Fatal(err)
	}
	s, err := natskv.New(natskv.Config{URL: jauge.Secret(srv.ClientURL())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "in memory that is not ours") {
		t.Errorf("Open gave %v", err)
	}
}

// Keys that are used once leave nothing behind, not even where a drop was cut short before it could tidy.
func TestDroppedKeysLeaveNothing(t *testing.T) {
	srv := start(t, t.TempDir(), nil)
	s := open(t, srv.ClientURL())
	js, st := bucket(t, srv)
	kv, err := js.KeyValue(t.Context(), natskv.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		key := fmt.Sprintf("flow/%d", i)
		rev := save(t, s, key, "x", 0)
		if i%2 == 0 {
			err = s.DropSealed(t.Context(), key, rev)
		} else {
			err = kv.Delete(t.Context(), key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	kept := save(t, s, "flow/1", "again", 0) // over a marker
	left := func() uint64 {
		t.Helper()
		info, err := st.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs
	}
	if n := left(); n != 10 {
		t.Errorf("%d messages are left, want the record and 9 markers", n)
	}
	for r, err := range s.Sealed(t.Context(), "") {
		if err != nil || r.Key != "flow/1" || r.Rev != kept {
			t.Errorf("listed %+v %v", r, err)
		}
	}
	if n := left(); n != 1 {
		t.Errorf("%d messages are left after a list, want the record alone", n)
	}
}

// A server that does not answer leaves it open whether a write was done: that is no ErrStale, and nothing is sent later.
func TestServerGoneIsNotStale(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, nil)
	port := srv.Addr().(*net.TCPAddr).Port
	s, err := natskv.New(natskv.Config{URL: jauge.Secret(srv.ClientURL()), Timeout: 300 * time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rev := save(t, s, "grant/a", "kept", 0)
	stop(srv)
	unknown := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, jauge.ErrStale) || !jauge.ReasonOf(err).Temporary() {
			t.Errorf("%s while the server is gone: %v (%s), want an error that may pass", what, err, jauge.ReasonOf(err))
		}
	}
	_, err = s.LoadSealed(t.Context(), "grant/a")
	unknown("load", err)
	_, err = s.SaveSealed(t.Context(), "grant/a", []byte("lost"), rev)
	unknown("replace", err)
	_, err = s.SaveSealed(t.Context(), "grant/b", []byte("lost"), 0)
	unknown("make", err)
	unknown("drop", s.DropSealed(t.Context(), "grant/a", rev))
	for _, err = range s.Sealed(t.Context(), "") {
		unknown("list", err)
	}
	unknown("ping", s.Ping(t.Context()))

	start(t, dir, func(o *server.Options) { o.Port = port })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.Ping(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the connection did not mend itself")
		}
	}
	if got, err := s.LoadSealed(t.Context(), "grant/a"); err != nil || string(got.Value) != "kept" || got.Rev != rev {
		t.Errorf("the record became %+v %v", got, err)
	}
	if _, err := s.LoadSealed(t.Context(), "grant/b"); jauge.ReasonOf(err) != jauge.ReasonNotFound {
		t.Errorf("a write that failed was carried out later: %v", err)
	}
}

func TestClusterThatTakesLittle(t *testing.T) {
	srv := start(t, t.TempDir(), func(o *server.Options) { o.MaxPayload = 64 << 10 })
	s := open(t, srv.ClientURL())
	save(t, s, "grant/a", strings.Repeat("x", 60<<10), 0)
	_, err := s.SaveSealed(t.Context(), "grant/b", make([]byte, 60<<10+1), 0)
	if jauge.ReasonOf(err) != jauge.ReasonBadRequest || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("too much gave %v", err)
	}
}

func TestErrorsOfOpenNameNoSecret(t *testing.T) {
	srv := start(t, t.TempDir(), func(o *server.Options) { o.Username, o.Password = "jauge", "right" })
	for _, url := range []string{
		strings.Replace(srv.ClientURL(), "nats://", "nats://jauge:s3cret@", 1),
		"nats://jauge:s3cret@127.0.0.1:1",
		"nats://jauge:s3cret@[::1",
	} {
		s, err := natskv.New(natskv.Config{URL: jauge.Secret(url), Timeout: time.Second}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Open(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open gave %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestServerWithoutJetStream(t *testing.T) {
	srv := start(t, t.TempDir(), func(o *server.Options) { o.JetStream = false })
	s, err := natskv.New(natskv.Config{URL: jauge.Secret(srv.ClientURL()), Timeout: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "has the cluster JetStream") {
		t.Errorf("Open gave %v", err)
	}
}

func TestConfigNamesEveryMistake(t *testing.T) {
	_, err := natskv.New(natskv.Config{Replicas: 9, Timeout: time.Millisecond}, nil)
	for _, want := range []string{"URL of the cluster is empty", "replicas is 9", "timeout is 1ms"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestNotOpen(t *testing.T) {
	s, err := natskv.New(natskv.Config{URL: "nats://127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadSealed(t.Context(), "a"); err == nil {
		t.Error("load before Open works")
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}
