//go:build integration

package influx

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/storagetest"
)

// drained makes rows like those that a drain writes, account by account.
func drained(accounts, posts int) []jauge.Record {
	base := time.Now().UTC().Truncate(time.Hour).AddDate(0, 0, -30)
	seen := base.AddDate(0, 0, 20)
	var out []jauge.Record
	for a := range accounts {
		id := fmt.Sprintf("did:plc:%024d", a)
		for p := range posts {
			at := base.Add(time.Duration(p)*time.Hour + time.Duration(a*1_000_003+p))
			uri := fmt.Sprintf("at://%s/app.bsky.feed.post/%013d", id, p)
			counters := []any{"likes", p % 50, "comments", p % 7, "shares", p % 11, "reposts", p % 5, "quotes", p % 3, "saves", 0}
			out = append(out,
				storagetest.Row(jauge.SocialPost, at, []string{"acme", "bluesky", id, "text"}, append([]any{
					"post_id", uri, "permalink", "https://bsky.app/profile/" + id + "/post/" + uri[len(uri)-13:],
					"excerpt", strings.Repeat("some words of a post ", 5), "language", "fr", "published_at", at,
					"observed_at", seen, "state", "live", "final", false,
				}, counters...)...),
				storagetest.Row(jauge.SocialPostHistory, seen.Add(time.Duration(p)), []string{"acme", "bluesky", id},
					append([]any{"post_id", uri, "state", "live"}, counters...)...))
			if p%10 != 0 {
				continue
			}
			day := base.AddDate(0, 0, p/10)
			out = append(out, storagetest.Row(jauge.SocialPostDaily, day, []string{"acme", "bluesky", id, "text"},
				append([]any{"day", day.Format(time.DateOnly), "final", true, "estimated", false}, counters...)...))
			for _, k := range []string{"likes", "comments", "shares"} {
				out = append(out, storagetest.Row(jauge.SocialKPI, day, []string{"acme", "bluesky", id, k, "day"},
					"day", day.Format(time.DateOnly), "value", 3, "estimated", false, "complete", true, "version", "1"))
			}
		}
	}
	return out
}

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := New(Config{
		URL: os.Getenv("JAUGE_INFLUX_URL"), Token: jauge.Secret(os.Getenv("JAUGE_INFLUX_TOKEN")),
		Org: os.Getenv("JAUGE_INFLUX_ORG"), Bucket: fmt.Sprintf("bench %08x", rand.Uint32()), //nolint:gosec // a name
	}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, k := range []*bucket{s.main, s.history} {
			found, err := s.find(context.Background(), k.name)
			if err == nil && found != nil {
				err = s.call(context.Background(), "drop", http.MethodDelete, "/api/v2/buckets/"+found.ID, nil, nil, nil)
			}
			if err != nil {
				b.Error(err)
			}
		}
		_ = s.Close()
	})
	if err := s.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measure(b *testing.B, rows int, write func() error) {
	b.Helper()
	if err := write(); err != nil { // the first write makes series and shards
		b.Fatal(err)
	}
	b.ReportAllocs()
	n, start := 0, cpu()
	for b.Loop() {
		if err := write(); err != nil {
			b.Fatal(err)
		}
		n += rows
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric((cpu()-start).Seconds()*1e6/float64(n), "own-cpu-s/Mrow")
}

// BenchmarkStore writes rows through the store.
func BenchmarkStore(b *testing.B) {
	s := benchStore(b)
	rows := drained(100, 400)
	measure(b, len(rows), func() error { return s.Write(b.Context(), rows) })
}

// BenchmarkRaw writes the same rows as lines made beforehand, in the same batches, as many at once, through the same
// client, plain and with the store's own compression.
func BenchmarkRaw(b *testing.B) {
	for name, hc := range map[string]*http.Client{"plain": {Transport: &http.Transport{}}, "gzip1": nil} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b)
			if hc == nil {
				hc = s.hc
			}
			b.Cleanup(hc.CloseIdleConnections)
			client := influxdb2.NewClientWithOptions(s.base, s.cfg.Token.Reveal(), influxdb2.DefaultOptions().SetHTTPClient(hc))
			rows := drained(100, 400)
			batches := map[*bucket][]string{}
			for _, k := range []*bucket{s.main, s.history} {
				of := s.of(k, rows)
				for i := 0; i < len(of); i += s.cfg.BatchRows {
					var text []byte
					l := newLiner(s.templates)
					for _, r := range of[i:min(i+s.cfg.BatchRows, len(of))] {
						text = l.appendLine(text, r)
					}
					batches[k] = append(batches[k], string(text))
				}
			}
			measure(b, len(rows), func() error {
				var g errgroup.Group
				g.SetLimit(s.cfg.Concurrency)
				for k, texts := range batches {
					w := client.WriteAPIBlocking(s.cfg.Org, k.name)
					for _, text := range texts {
						g.Go(func() error { return w.WriteRecord(b.Context(), text) })
					}
				}
				return g.Wait()
			})
		})
	}
}

// BenchmarkRead reads the posts of one account after the other.
func BenchmarkRead(b *testing.B) {
	s := benchStore(b)
	rows := drained(50, 400)
	if err := s.Write(b.Context(), rows); err != nil {
		b.Fatal(err)
	}
	n, a, start := 0, 0, cpu()
	for b.Loop() {
		got, err := storagetest.Collect(b.Context(), s, jauge.Query{Measurement: jauge.SocialPost, Match: map[string][]string{
			"platform": {"bluesky"}, "account": {fmt.Sprintf("did:plc:%024d", a%50)},
		}})
		if err != nil || len(got) != 400 {
			b.Fatalf("%d rows: %v", len(got), err)
		}
		a++
		n += len(got)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric((cpu()-start).Seconds()*1e6/float64(n), "own-cpu-s/Mrow")
}
