package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
)

// cpu returns what this process has used, user and system.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perMillion reports CPU seconds per million observations, server included.
func perMillion(b *testing.B, used time.Duration, observations int) {
	b.Helper()
	b.ReportMetric(used.Seconds()*1e6/float64(observations), "CPU-s/Mobs")
	b.ReportMetric(float64(observations)/b.Elapsed().Seconds(), "obs/s")
}

func benchDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp(".", ".bench-") // on the disk of the sources: a temporary folder may be memory
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	return filepath.Join(dir, "journal")
}

// BenchmarkAppend appends pages of 100 observations, each behind its fsync, by one and by four collectors.
func BenchmarkAppend(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprint("collectors=", workers), func(b *testing.B) {
			j := open(b, journal.Config{Dir: benchDir(b)})
			var seq atomic.Int64
			b.SetParallelism(workers)
			before := cpu(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := int(seq.Add(1))
					if err := j.Append(b.Context(), samplePage(fmt.Sprint("did:plc:", n%1000), n, 99)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			perMillion(b, cpu(b)-before, b.N*100)
		})
	}
}

// BenchmarkConsume reads, archives and acknowledges what is in the journal, in lots as the pipeline takes them. The
// archive takes a lot as one atomic batch with one fsync, or message by message.
func BenchmarkConsume(b *testing.B) {
	for _, c := range []struct {
		name    string
		lot     int
		batches bool
	}{{"batch/lot=64", 64, true}, {"batch/lot=256", 256, true}, {"single/lot=64", 64, false}, {"single/lot=256", 256, false}} {
		b.Run(c.name, func(b *testing.B) {
			j := open(b, journal.Config{Dir: benchDir(b)})
			for i := range b.N {
				if err := j.Append(b.Context(), samplePage(fmt.Sprint("did:plc:", i%1000), i, 99)); err != nil {
					b.Fatal(err)
				}
			}
			if !c.batches {
				j.NoBatches()
			}
			before := cpu(b)
			b.ResetTimer()
			for got := 0; got < b.N; {
				msgs := next(b, j, c.lot)
				got += len(msgs)
				if err := j.Settle(b.Context(), msgs); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			perMillion(b, cpu(b)-before, b.N*100)
		})
	}
}

func next(t testing.TB, j *journal.Journal, n int) []pipeline.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	msgs, err := j.Next(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return msgs
}

// BenchmarkOpen opens a journal: a new one; one that was left in order with an archive and some work; and the same as a
// kill leaves it, with no index of the newest messages.
func BenchmarkOpen(b *testing.B) {
	const settled, left = 20000, 2000
	for _, c := range []string{"new", "left", "killed"} {
		b.Run(c, func(b *testing.B) {
			dir := benchDir(b)
			if c != "new" {
				fillArchive(b, dir, settled, left, c == "killed")
			}
			var took time.Duration
			for i := range b.N {
				at := dir
				if c != "left" {
					at = fmt.Sprint(dir, i)
				}
				if c == "killed" {
					if err := os.CopyFS(at, os.DirFS(dir)); err != nil {
						b.Fatal(err)
					}
				}
				j, err := journal.New(journal.Config{Dir: at}, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				if err := j.Open(b.Context()); err != nil {
					b.Fatal(err)
				}
				opened := time.Since(start)
				if err := j.Append(b.Context(), samplePage("first", b.N*1000+i, 10)); err != nil {
					b.Fatal(err)
				}
				took += time.Since(start)
				b.ReportMetric(float64(opened.Milliseconds()), "ms/open")
				if n, _, err := j.Pending(b.Context()); err != nil || n < 1 {
					b.Fatalf("%d pending (%v)", n, err)
				}
				if err := j.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/first-append")
		})
	}
}

// fillArchive leaves a journal; killed leaves its files as they are on disk while it is open.
func fillArchive(b *testing.B, dir string, settled, left int, killed bool) {
	b.Helper()
	at := dir
	if killed {
		at = dir + "-live"
	}
	j := open(b, journal.Config{Dir: at})
	for i := range settled + left {
		if err := j.Append(b.Context(), samplePage(fmt.Sprint("did:plc:", i%1000), i, 99)); err != nil {
			b.Fatal(err)
		}
		if i < settled && i%256 == 255 {
			settleSome(b, j, 256)
		}
	}
	if killed {
		if err := os.CopyFS(dir, os.DirFS(at)); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func settleSome(b *testing.B, j *journal.Journal, n int) {
	b.Helper()
	for got := 0; got < n; {
		msgs := next(b, j, n-got)
		got += len(msgs)
		if err := j.Settle(b.Context(), msgs); err != nil {
			b.Fatal(err)
		}
	}
}
