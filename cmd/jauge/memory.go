package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// What the garbage collector is told unless the operator told it otherwise (GOGC, GOMEMLIMIT). A limit close to what a
// first reading holds at its peak would make the collector eat half of the CPU: it is set above that.
const (
	gcPercent   = 25
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

// trimEvery is how often memory is given back.
const trimEvery = time.Minute

// trim gives back what a burst of work left behind: the runtime would keep garbage until the next collection, minutes
// later where little is going on, and free pages for longer. A collection of so small a heap costs some milliseconds.
func trim(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			runtime.GC() // what pools hold is garbage only after the second collection
			debug.FreeOSMemory()
		case <-ctx.Done():
			return nil
		}
	}
}
