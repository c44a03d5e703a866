package main

import (
	"runtime/debug"
	"slices"
	"strings"
)

// What the garbage collector is told unless the operator told it otherwise (GOGC, GOMEMLIMIT).
const (
	gcPercent   = 50
	memoryLimit = 96 << 20 // bytes; a soft one: above it the collector works harder, nothing fails
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
