// Package bench_test measures the whole way of a page through the program against what its parts must cost at least.
package bench_test

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/bluesky"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
	"jauge.dev/jauge/storage/sqlite"
)

// load is what the journal is filled with: so many accounts with so many posts each, read so many times, an hour apart.
type load struct{ accounts, posts, rounds int }

const perBrand = 5

func (l load) account(i int) jauge.Account {
	return jauge.Account{
		Platform: jauge.Bluesky, ID: fmt.Sprintf("did:plc:%024d", i), Handle: fmt.Sprintf("a%d.example", i),
		Brand: fmt.Sprintf("brand-%d", i/perBrand),
	}
}

// Lookup and Brand make load the pipeline's directory.
func (l load) Lookup(k jauge.Key) (jauge.Member, bool) {
	i, err := strconv.Atoi(k.Account[len("did:plc:"):])
	return jauge.Member{Account: l.account(i)}, err == nil
}

func (l load) Brand(name string) []jauge.Member {
	n, err := strconv.Atoi(name[len("brand-"):])
	if err != nil {
		return nil
	}
	var out []jauge.Member
	for i := n * perBrand; i < min((n+1)*perBrand, l.accounts); i++ {
		out = append(out, jauge.Member{Account: l.account(i)})
	}
	return out
}

var formats = []jauge.Format{jauge.FormatText, jauge.FormatImage, jauge.FormatLink, jauge.FormatReply}

// run gives the pages of one run of an account, in the order in which the scheduler journals them.
func (l load) run(i, r int, start time.Time) []jauge.Page {
	a := l.account(i)
	page := jauge.Page{
		Platform: a.Platform, Account: a.ID, Handle: a.Handle, API: "app.bsky", Run: fmt.Sprintf("run-%d-%d", r, i),
		RunStart: start, ObservedAt: start.Add(100 * time.Millisecond),
	}
	gauges, posts := page, page
	gauges.Observations = []jauge.Observation{{
		Object: jauge.ObjectAccount, ID: a.ID, Period: jauge.PeriodInstant, State: jauge.AccountLive, Values: []jauge.WireValue{
			{Wire: "followersCount", Value: float64(1000 + 3*r)}, {Wire: "followsCount", Value: 17},
			{Wire: "postsCount", Value: float64(l.posts)},
		},
	}}
	posts.Seq, posts.ObservedAt, posts.Complete = 1, start.Add(300*time.Millisecond), true
	posts.Observations = make([]jauge.Observation, l.posts)
	for j := range posts.Observations {
		n := float64(i%7 + j%11)
		rkey := fmt.Sprintf("3l%05d%06d", i, j)
		posts.Observations[j] = jauge.Observation{
			Object: jauge.ObjectPost, ID: "at://" + a.ID + "/app.bsky.feed.post/" + rkey, Period: jauge.PeriodLifetime,
			PostState: jauge.PostLive,
			Values: []jauge.WireValue{
				{Wire: "likeCount", Value: n * float64(r+1)}, {Wire: "replyCount", Value: float64(r / 2)},
				{Wire: "repostCount", Value: float64((r + j) / 3)}, {Wire: "quoteCount", Value: 1}, {Wire: "bookmarkCount", Value: 0},
			},
			Post: &jauge.Post{
				PublishedAt: epoch.Add(-time.Duration(j) * 20 * time.Hour), Format: formats[j%len(formats)], Language: "en",
				Permalink: "https://bsky.app/profile/" + a.ID + "/post/" + rkey,
				Excerpt:   "A post of the length that posts on social networks have, about so many words as this one",
				Reply:     formats[j%len(formats)] == jauge.FormatReply,
			},
		}
	}
	return []jauge.Page{gauges, posts}
}

// epoch is when the first round was read: recent, so that a history bucket takes it.
var epoch = time.Now().UTC().Add(-4 * 24 * time.Hour).Truncate(24 * time.Hour)

// store is what both adapters offer here.
type store interface {
	pipeline.Store
	Open(ctx context.Context) error
	Close() error
}

// recorder keeps what is written, call by call.
type recorder struct {
	store
	mu    sync.Mutex
	calls [][]jauge.Record
}

func (r *recorder) Write(ctx context.Context, rows []jauge.Record) error {
	kept := slices.Clone(rows)
	for i := range kept { // the pipeline uses their space again
		kept[i].Values = slices.Clone(kept[i].Values)
	}
	r.mu.Lock()
	r.calls = append(r.calls, kept)
	r.mu.Unlock()
	return r.store.Write(ctx, rows)
}

func (r *recorder) rows() (n int) {
	for _, c := range r.calls {
		n += len(c)
	}
	return n
}

func fill(tb testing.TB, l load) *journal.Journal {
	tb.Helper()
	j, err := journal.New(journal.Config{Dir: filepath.Join(tb.TempDir(), "journal")}, nil, prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	if err := j.Open(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close(context.Background()) })
	for r := range l.rounds { // rounds stay in order, and so do the pages of an account
		g, ctx := errgroup.WithContext(tb.Context())
		g.SetLimit(8)
		for i := range l.accounts {
			g.Go(func() error {
				for _, p := range l.run(i, r, epoch.Add(time.Duration(r)*time.Hour)) {
					if err := j.Append(ctx, p); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			tb.Fatal(err)
		}
	}
	return j
}

// lookEvery is how often drain asks whether the journal is empty: so seldom that the question costs next to nothing.
const lookEvery = 25 * time.Millisecond

// drain runs the pipeline until the journal is empty and tells the time it took and the CPU time of this process.
func drain(tb testing.TB, j *journal.Journal, s pipeline.Store, l load) (took, cpu time.Duration) {
	tb.Helper()
	p, err := pipeline.New(pipeline.Config{
		Mappings:         map[jauge.Platform]jauge.Mapping{jauge.Bluesky: bluesky.Platform.Mapping},
		HistoryRetention: 90 * 24 * time.Hour, LadderEnd: 90 * 24 * time.Hour, CacheBytes: cacheBytes, BatchPages: 256,
	}, pipeline.Deps{Store: s, Directory: l})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(tb.Context())
	defer stop()
	began, before := time.Now(), cpuTime(tb)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, j) }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		n, _, err := j.Pending(ctx)
		if err == nil && n == 0 {
			took, cpu = time.Since(began), cpuTime(tb)-before
			stop()
			if err := <-done; err != nil {
				tb.Fatal(err)
			}
			return took, cpu
		}
		select {
		case err := <-done:
			tb.Fatal("pipeline stopped: ", err)
		case <-tick.C:
		}
	}
}

// cpuTime is what this process has used so far, user and system.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// raw writes rows in the calls of a pipeline's run and nothing else: what the store takes at least.
func raw(tb testing.TB, s store, calls [][]jauge.Record) (took, cpu time.Duration) {
	tb.Helper()
	began, before := time.Now(), cpuTime(tb)
	for batch := range batches(calls, 10000) {
		if err := s.Write(tb.Context(), batch); err != nil {
			tb.Fatal(err)
		}
	}
	return time.Since(began), cpuTime(tb) - before
}

// batches cuts all rows into even batches.
func batches(calls [][]jauge.Record, size int) iter.Seq[[]jauge.Record] {
	return func(yield func([]jauge.Record) bool) {
		var b []jauge.Record
		for _, c := range calls {
			for len(c) > 0 {
				n := min(size-len(b), len(c))
				b, c = append(b, c[:n]...), c[n:]
				if len(b) == size {
					if !yield(b) {
						return
					}
					b = nil
				}
			}
		}
		if len(b) > 0 {
			yield(b)
		}
	}
}

// counter counts what is written.
type counter struct {
	store
	n atomic.Int64
}

func (c *counter) Write(ctx context.Context, rows []jauge.Record) error {
	c.n.Add(int64(len(rows)))
	return c.store.Write(ctx, rows)
}

// What cmd/jauge tells the runtime and the pipeline by default: the drain runs as in the daemon.
const (
	gcPercent   = 25
	memoryLimit = 160 << 20
	cacheBytes  = 8 << 20
)

// asDaemon sets the runtime up as the daemon does, and gives back what was there.
func asDaemon() (restore func()) {
	debug.FreeOSMemory()
	percent, limit := debug.SetGCPercent(gcPercent), debug.SetMemoryLimit(memoryLimit)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// measure drains a journal as the daemon would, then once more to learn the rows, and writes these rows raw; each time
// into a store of its own. Raw writing has the runtime's own settings, under which it costs least.
func measure(b *testing.B, l load, open func() store) {
	for b.Loop() {
		b.StopTimer()
		j, s := fill(b, l), &counter{store: open()}
		restore := asDaemon()
		b.StartTimer()
		took, cpu := drain(b, j, s, l)
		b.StopTimer()
		restore()
		rec, plain := &recorder{store: open()}, open()
		drain(b, fill(b, l), rec, l)
		rawTook, rawCPU := raw(b, plain, rec.calls)
		rows, rawRows := float64(s.n.Load()), float64(rec.rows())
		b.ReportMetric(rows/took.Seconds(), "rows/s")
		b.ReportMetric(rawRows/rawTook.Seconds(), "raw-rows/s")
		b.ReportMetric(rows/took.Seconds()/(rawRows/rawTook.Seconds()), "ratio")
		b.ReportMetric(cpu.Seconds()/rows*1e6, "cpu-s/Mrow")
		b.ReportMetric(rawCPU.Seconds()/rawRows*1e6, "raw-cpu-s/Mrow")
		b.ReportMetric(rows, "rows")
		b.StartTimer()
	}
}

func openSQLite(b *testing.B) func() store {
	return func() store {
		s, err := sqlite.New(sqlite.Config{Path: filepath.Join(b.TempDir(), "jauge.db")}, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Open(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = s.Close() })
		return s
	}
}

// BenchmarkDrainSQLite empties a filled journal into SQLite, beside writing the identical rows raw.
func BenchmarkDrainSQLite(b *testing.B) {
	b.Run("80x100x30", func(b *testing.B) { measure(b, load{80, 100, 30}, openSQLite(b)) })
	b.Run("200x100x12", func(b *testing.B) { measure(b, load{200, 100, 12}, openSQLite(b)) })
	b.Run("first/1000x100x1", func(b *testing.B) { measure(b, load{1000, 100, 1}, openSQLite(b)) })
}
