package natskv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
)

const (
	streamName = "KV_" + Bucket
	subjects   = "$KV." + Bucket + "."
	headerRoom = 4 << 10 // of a message, for subject and headers
)

// Open connects and makes the bucket where it is missing. The connection mends itself afterwards; while it is down every
// call fails.
func (s *Store) Open(ctx context.Context) (err error) {
	if s.nc, err = s.connect(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	js, err := jetstream.New(s.nc, jetstream.WithDefaultTimeout(s.cfg.Timeout))
	if err != nil {
		return fmt.Errorf("open vault bucket: %w", err)
	}
	s.most = min(jauge.MaxSealed, int(s.nc.MaxPayload())-headerRoom)
	if s.stream, err = s.ensure(ctx, js); err != nil {
		return &jauge.Error{
			Op: "make vault bucket", Reason: reasonOf(err), Err: err,
			Hint: "has the cluster JetStream, as many servers as JAUGE_JOURNAL_REPLICAS, and may our user make streams?",
		}
	}
	if s.kv, err = js.KeyValue(ctx, Bucket); err != nil {
		return fmt.Errorf("open vault bucket: %w", err)
	}
	return nil
}

func (s *Store) connect() (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name("jauge vault"),
		nats.Timeout(s.cfg.Timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		// What cannot be sent now must fail now: a write that waits for the connection would be carried out when nobody
		// expects it any more.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("vault connection reports an error", "error", err.Error())
		}),
	}
	if s.cfg.Credentials != "" {
		opts = append(opts, nats.UserCredentials(s.cfg.Credentials))
	}
	nc, err := nats.Connect(s.cfg.URL.Reveal(), opts...)
	if err == nil {
		return nc, nil
	}
	plain := errors.New("connection failed") // the library's own words may hold the URL, and that a password
	for _, known := range []error{nats.ErrNoServers, nats.ErrTimeout, nats.ErrAuthorization, nats.ErrSecureConnRequired} {
		if errors.Is(err, known) {
			plain = known
			break
		}
	}
	return nil, &jauge.Error{
		Op: "connect to vault cluster", Reason: reasonOf(plain), Err: plain,
		Hint: "is the cluster up, and are address and credentials right?",
	}
}

// ensure makes the stream behind the bucket, or changes what differs in one that is there.
func (s *Store) ensure(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	want := jetstream.StreamConfig{
		Name: streamName, Description: "grants of jauge, sealed", Subjects: []string{subjects + ">"},
		Storage: jetstream.FileStorage, Replicas: s.cfg.Replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, MaxMsgs: -1, MaxBytes: -1, MaxConsumers: -1, MaxMsgSize: -1,
		// Any server may answer a direct read, also one that lags behind.
		AllowDirect: false,
	}
	st, err := js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		st, err = js.CreateStream(ctx, want)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return st, err
		}
		st, err = js.Stream(ctx, streamName) // another replica came first
	}
	if err != nil {
		return nil, err
	}
	have := st.CachedInfo().Config
	if have.Storage != want.Storage {
		return nil, errors.New("there is a bucket " + Bucket + " in memory that is not ours: remove it, or have it kept in files")
	}
	if have.Replicas == want.Replicas && have.MaxMsgsPerSubject == 1 && !have.AllowDirect {
		return st, nil
	}
	have.Replicas, have.MaxMsgsPerSubject, have.AllowDirect = want.Replicas, 1, false
	return js.UpdateStream(ctx, have)
}

// Ping tells whether the cluster answers for the bucket.
func (s *Store) Ping(ctx context.Context) error {
	if s.stream == nil {
		return errClosed
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if _, err := s.stream.Info(ctx); err != nil {
		return failed("reach vault bucket", "", err)
	}
	return nil
}

// Close ends the connection; it is safe to call twice and without Open.
func (s *Store) Close() error {
	if s.nc != nil {
		s.nc.Close()
	}
	return nil
}
