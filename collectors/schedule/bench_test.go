package schedule_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"jauge.dev/jauge/collectors/schedule"
)

// BenchmarkIdle counts the turns of 100,000 accounts over a simulated hour a round, in ticks of 30 seconds, and
// reports which share of a core that is.
func BenchmarkIdle(b *testing.B) {
	const n = 100_000
	r := newRig(b)
	r.start()
	defer r.close()
	r.sync(handles(n)...)
	now := time.Now()
	r.s.Turns(plume, now)
	rounds := 0
	for b.Loop() {
		turns := 0
		for range 120 {
			now = now.Add(30 * time.Second)
			turns += r.s.Turns(plume, now)
		}
		if turns != n {
			b.Fatalf("%d turns in an hour, want %d", turns, n)
		}
		rounds++
	}
	perHour := b.Elapsed().Seconds() / float64(rounds)
	b.ReportMetric(100*perHour/3600, "%-of-a-core")
}

// BenchmarkMemory reports what 10,000 resolved accounts cost in memory: phase table and directory.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	r := newRig(b)
	names := handles(n)
	r.start(names...)
	for f, err := range r.db.Roster(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.db.Resolved(b.Context(), f.Ref, fmt.Sprintf("did:plc:%024d", f.Ref), f.Configured, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	r.close()
	r.s = nil
	empty := heap()
	r.start(names...)
	defer r.close()
	for b.Loop() {
		r.sync(names...)
	}
	b.ReportMetric((heap()-empty)/n, "B/account")
}

// cpu is the CPU time of this process so far, in seconds.
func cpu(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkRun reads 2,000 accounts of five posts each in groups of 25 against a platform and a journal that cost
// nothing, and reports what a run of an account costs and which share of a core 100,000 accounts an hour would be.
func BenchmarkRun(b *testing.B) {
	const n = 2000
	r := newRig(b)
	r.group = 25
	r.start(handles(n)...)
	defer r.close()
	for i := range n {
		for j := range 5 {
			r.world.publish(fmt.Sprintf("id-a%d", i), fmt.Sprintf("p%d", j), time.Now().Add(-time.Duration(j)*time.Hour))
		}
	}
	r.once(schedule.Filter{})
	rounds, began := 0, cpu(b)
	for b.Loop() {
		r.journal.pages = nil
		r.once(schedule.Filter{})
		rounds++
	}
	perRun := (cpu(b) - began) / float64(rounds*n) // not the time: a second run waits for the next second
	b.ReportMetric(perRun*1e6, "CPU-µs/run")
	b.ReportMetric(100*perRun*100_000/3600, "%-of-a-core-at-100k-hourly")
}
