//go:build integration

package integration_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// cluster starts a NATS server of the test's own, as an operator would run one beside jauge, and returns its URL.
func cluster(t *testing.T) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		JetStreamMaxStore: 64 << 30, JetStreamMaxMemory: 16 << 20, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server did not start in 10 s")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	addr, ok := srv.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the NATS server listens on %v", srv.Addr())
	}
	return "nats://" + addr.String()
}

// vaultKey makes a key by which grants are sealed: 32 bytes in base64.
func vaultKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// replicas are daemons that share a NATS cluster and its grants, each with a data directory of its own.
type replicas struct {
	t    *testing.T
	here []*jauge
	up   []*daemon
}

// replicate starts some daemons on one cluster.
func replicate(t *testing.T, n int, app *client, env ...string) *replicas {
	t.Helper()
	shared := append(app.x(), "JAUGE_NATS_URL="+cluster(t), "JAUGE_VAULT_KEY="+vaultKey(), "JAUGE_VAULT_EVERY=100ms")
	r := &replicas{t: t}
	for range n {
		j := install(t, connectOnly, append(shared, env...)...)
		r.here = append(r.here, j)
		r.up = append(r.up, j.start())
	}
	for _, d := range r.up {
		d.ready()
	}
	return r
}

// kill ends replicas without warning, and starts them again at once.
func (r *replicas) kill(which ...int) {
	r.t.Helper()
	for _, i := range which {
		r.up[i].kill()
	}
	for _, i := range which {
		r.up[i] = r.here[i].start()
	}
}

func (r *replicas) ready() {
	r.t.Helper()
	for _, d := range r.up {
		d.ready()
	}
}

// state is what a replica says of a user's account.
func (r *replicas) state(i int, user string) (listed, error) {
	all, err := r.here[i].tryAccounts()
	if err != nil {
		return listed{}, err
	}
	for _, a := range all {
		if a.Platform == "x" && a.Handle == user {
			return a, nil
		}
	}
	return listed{}, fmt.Errorf("no account %s in %+v", user, all)
}

// of are the refreshes of one user that were answered with a token.
func (c *client) of(user string) []event {
	c.t.Helper()
	var out []event
	for _, e := range c.refreshes() {
		if e.Account == user {
			out = append(out, e)
		}
	}
	return out
}
