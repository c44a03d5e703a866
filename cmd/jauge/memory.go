package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"time"
)

// What the garbage collector is told unless the operator told it otherwise (GOGC, GOMEMLIMIT). A limit close to what a
// first reading holds at its peak would make the collector eat half of the CPU: it is set above that.
const (
	gcPercent   = 50
	memoryLimit = 160 << 20 // bytes; a soft one: above it the collector works harder, nothing fails
)

// limitMemory keeps the daemon small: it idles most of the time, and collects garbage for next to nothing.
func limitMemory(environ []string) {
	set := func(name string) bool {
		return slices.ContainsFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	}
	if !set("GOGC") {
		debug.SetGCPercent(gcPercent)
	}
	if !set("GOMEMLIMIT") {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// How often memory is given back, and how much of it there must be for that to be worth it.
const (
	trimEvery = time.Minute
	trimFrom  = 16 << 20 // bytes
)

// trim gives back what a burst of work left behind: the runtime would keep it for minutes, and fragments for good.
func trim(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if unusedHeap() > trimFrom {
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// unusedHeap counts the bytes of heap that are resident and hold nothing.
func unusedHeap() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(samples)
	var n uint64
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			n += s.Value.Uint64()
		}
	}
	return n
}
