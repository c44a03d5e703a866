// Package schedule decides when which account is read, runs the collectors, and keeps the order that nothing may
// break: a page goes to the journal first, and only when the journal has acknowledged it does the scheduler's memory
// move. It owns every goroutine that collects, and knows no platform by name, no store and no token.
//
//	cron entry per platform ─tick─▶ phase table ─▶ queue by host ─▶ group run ─▶ Collector.Collect
//	                                  ▲   retries, catch-up ┘           │ emit: stamp, hold one page back
//	                                  │                                 ▼
//	                         Sync(config), Roster      Appender.Append, then State.Advance
//
// One account is never read by two runs at once, be they scheduled, asked for (RunOnce) or a backfill.
package schedule
