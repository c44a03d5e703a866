// Package schedule decides when which account is read, runs the collectors, and keeps the order that nothing may
// break: a page goes to the journal first, and only when the journal has acknowledged it does the scheduler's memory
// move. It owns every goroutine that collects, and knows no platform by name, no store and no token.
//
//	cron entry per platform ─tick─▶ phase table ─▶ queue by host ─▶ group run ─▶ Collector.Collect
//	                                  ▲   retries, catch-up ┘           │ emit: stamp, hold one page back
//	                                  │                                 ▼
//	                         Sync, Wake, Roster        Appender.Append, then State.Advance
//
// Access says with which client an account is read, and which accounts share one grant: only those are read in one
// call. Where it refuses, the account is parked: it keeps its turns, and nothing is called in them, until Access lets it
// in again. Wake makes that happen at once; without it, it is seen at the account's next turn.
//
// One account is never read by two runs at once, be they scheduled, asked for (RunOnce) or a backfill.
package schedule
