//go:build integration

package influx

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/storagetest"
)

func drained(accounts, posts int) []jauge.Record {
	// Recent enough for the history's retention.
	return storagetest.Drained(time.Now().UTC().Truncate(time.Hour).AddDate(0, 0, -30), accounts, posts)
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

// BenchmarkReplace writes one row that replaces what is stored: a delete and a write.
func BenchmarkReplace(b *testing.B) {
	s := benchStore(b)
	rows := drained(50, 400)
	if err := s.Write(b.Context(), rows); err != nil {
		b.Fatal(err)
	}
	row := rows[:1]
	row[0].Replace = true
	for b.Loop() {
		if err := s.Write(b.Context(), row); err != nil {
			b.Fatal(err)
		}
	}
}
