package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jauge.dev/jauge"
)

// Names of the streams and of the consumer.
const (
	workStream    = "JAUGE_WORK"
	archiveStream = "JAUGE_ARCHIVE"
	deadStream    = "JAUGE_DEAD"
	consumerName  = "pipeline"
)

const (
	// maxHeld bounds how many messages may be delivered and not settled.
	maxHeld = 20000
	// dedupe is how long the server knows a message id. It softens repeats; what makes them harmless are idempotent
	// writes.
	dedupe = 2 * time.Minute
	// dedupeArchive is shorter, since the server reads what is younger than this whenever it starts.
	dedupeArchive = 30 * time.Second
	// deadHeadroom lets a full stream of dead letters still be replayed: see replayLetter.
	deadHeadroom = 4 * maxPayload
)

// session is one life of the server and the connection to it. A mended server begins a new one.
type session struct {
	gen     int
	srv     *server.Server // nil outside
	nc      *nats.Conn
	js      jetstream.JetStream
	work    jetstream.Stream
	archive jetstream.Stream
	dead    jetstream.Stream
	cons    jetstream.Consumer
	limit   int // of a message's body, in bytes
	batches bool
	pumped  chan struct{} // closed when the pump has ended; nil before it began
	stop    context.CancelFunc
}

func (j *Journal) connect(srv *server.Server) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name("jauge"),
		nats.Timeout(j.cfg.Timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			j.log.Warn("journal connection reports an error", "error", err.Error())
		}),
	}
	if srv != nil {
		nc, err := nats.Connect("", append(opts, nats.InProcessServer(srv), nats.NoReconnect())...)
		if err != nil {
			return nil, fmt.Errorf("connect to embedded server: %w", err)
		}
		return nc, nil
	}
	if j.cfg.Credentials != "" {
		opts = append(opts, nats.UserCredentials(j.cfg.Credentials))
	}
	nc, err := nats.Connect(j.cfg.URL.Reveal(), opts...)
	if err != nil {
		// The library's own words may hold the URL.
		return nil, &jauge.Error{
			Op: "connect to journal cluster", Reason: reasonOf(err), Err: plainConnectError(err),
			Hint: "is the cluster up, and are address and credentials right?",
		}
	}
	return nc, nil
}

// plainConnectError keeps the errors that are known to name no address.
func plainConnectError(err error) error {
	for _, known := range []error{nats.ErrNoServers, nats.ErrTimeout, nats.ErrAuthorization, nats.ErrSecureConnRequired} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New("connection failed")
}

// begin connects, makes what is missing, and has the consumer begin with the first message that was not settled.
func (j *Journal) begin(ctx context.Context, srv *server.Server) (_ *session, err error) {
	nc, err := j.connect(srv)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(j.cfg.Timeout),
		jetstream.WithPublishAsyncTimeout(j.cfg.Timeout))
	if err != nil {
		return nil, fmt.Errorf("connect to journal: %w", err)
	}
	s := &session{srv: srv, nc: nc, js: js, limit: int(nc.MaxPayload()) - headerRoom}
	if s.limit < leastBody {
		return nil, fmt.Errorf("journal cluster takes messages of at most %d bytes: raise its max_payload to 64 KiB or more", nc.MaxPayload())
	}
	s.limit = min(s.limit, mostBody)
	for _, cfg := range j.streams() {
		st, err := ensureStream(ctx, js, cfg)
		if err != nil {
			return nil, fmt.Errorf("make stream %s: %w", cfg.Name, err)
		}
		switch cfg.Name {
		case workStream:
			s.work = st
		case archiveStream:
			s.archive = st
			s.batches = st.CachedInfo().Config.AllowAtomicPublish
		case deadStream:
			s.dead = st
		}
	}
	if err := j.ensureConsumer(ctx, s); err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	return s, nil
}

// Bounds of a message's body: room for headers, the least that is of use, and the most that is, so that what is in
// flight stays small.
const (
	headerRoom = 8 << 10
	leastBody  = 32 << 10
	mostBody   = 512 << 10
)

// streams gives the streams as they should be.
func (j *Journal) streams() []jetstream.StreamConfig {
	replicas := j.cfg.Replicas
	if j.embedded() {
		replicas = 1
	}
	out := []jetstream.StreamConfig{{
		Name: workStream, Subjects: []string{workPrefix + ">"}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, MaxBytes: j.cfg.MaxBytes, Duplicates: dedupe,
	}, {
		Name: archiveStream, Subjects: []string{archivePrefix + ">"}, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardOld, MaxBytes: j.cfg.ArchiveMaxBytes, MaxAge: j.cfg.ArchiveMaxAge,
		AllowAtomicPublish: true, Duplicates: dedupeArchive,
	}, {
		Name: deadStream, Subjects: []string{deadPrefix + ">"}, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardNew, MaxBytes: j.cfg.DeadMaxBytes + deadHeadroom,
		MaxMsgsPerSubject: 1, DiscardNewPerSubject: true, Duplicates: dedupe,
	}}
	for i := range out {
		out[i].Storage = jetstream.FileStorage
		out[i].Replicas = replicas
		out[i].AllowDirect = true
	}
	return out
}

// ensureStream makes a stream, or changes the bounds of one that is there.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	st, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		st, err = js.CreateStream(ctx, want)
		if err != nil && want.AllowAtomicPublish {
			// A cluster older than atomic publishing; we do without.
			want.AllowAtomicPublish = false
			return js.CreateStream(ctx, want)
		}
		return st, err
	}
	if err != nil {
		return nil, err
	}
	have := st.CachedInfo().Config
	if have.Retention != want.Retention || have.Discard != want.Discard {
		return nil, errors.New("a stream of this name exists that is not ours: rename or remove it")
	}
	if have.MaxBytes == want.MaxBytes && have.MaxAge == want.MaxAge && have.Replicas == want.Replicas &&
		have.Duplicates == want.Duplicates {
		return st, nil
	}
	have.MaxBytes, have.MaxAge, have.Replicas, have.Duplicates = want.MaxBytes, want.MaxAge, want.Replicas, want.Duplicates
	return js.UpdateStream(ctx, have)
}

// ensureConsumer makes the consumer. One that is not at the first message of the stream is made anew, so that what was
// delivered and never settled comes first and in order, not after AckWait and behind what is new; and so that what the
// consumer holds for acknowledged is not left lying: on a full disk the server may note the acknowledgement and fail to
// remove the message. A consumer that another process waits on is left alone.
func (j *Journal) ensureConsumer(ctx context.Context, s *session) error {
	want := jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait: j.cfg.AckWait, MaxAckPending: maxHeld, MaxDeliver: -1,
	}
	c, err := s.work.Consumer(ctx, consumerName)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		s.cons, err = s.work.CreateConsumer(ctx, want)
		return err
	case err != nil:
		return err
	}
	info, state := c.CachedInfo(), s.work.CachedInfo().State
	left := info.NumAckPending > 0 || state.Msgs > 0 && state.FirstSeq <= info.AckFloor.Stream
	if left && info.NumWaiting == 0 {
		if err := s.work.DeleteConsumer(ctx, consumerName); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		s.cons, err = s.work.CreateConsumer(ctx, want)
		return err
	}
	if info.Config.AckWait != want.AckWait || info.Config.MaxAckPending != want.MaxAckPending {
		c, err = s.work.UpdateConsumer(ctx, want)
	}
	s.cons = c
	return err
}

// end closes the connection and the server, within ctx.
func (s *session) end(ctx context.Context) error {
	if s.stop != nil {
		s.stop()
	}
	s.nc.Close()
	var err error
	if s.pumped != nil {
		select {
		case <-s.pumped:
		case <-ctx.Done():
			err = fmt.Errorf("stop reading journal: %w", context.Cause(ctx))
		}
	}
	if s.srv == nil {
		return err
	}
	return errors.Join(err, shutDown(ctx, s.srv))
}

// shutDown stops the server; a disk that hangs can keep it longer than ctx allows.
func shutDown(ctx context.Context, srv *server.Server) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop embedded server: %w", context.Cause(ctx))
	}
}

// missing lists the streams that should be there and were not recovered.
func missing(ctx context.Context, js jetstream.JetStream, expected []string) ([]string, error) {
	var gone []string
	for _, name := range expected {
		if !strings.HasPrefix(name, "JAUGE_") {
			continue
		}
		_, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			gone = append(gone, name)
		} else if err != nil {
			return nil, fmt.Errorf("look for stream %s: %w", name, err)
		}
	}
	return gone, nil
}
