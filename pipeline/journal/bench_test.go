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
