// Package journal keeps fetched pages safe on disk between the collectors and the pipeline. It is three streams of
// NATS JetStream, in a server inside the process by default or in an external cluster named by a URL; after the
// connection both run the same code.
//
//	Append ──▶ work (a queue; refuses when full) ──▶ Next ──▶ the pipeline ──▶ Settle ──┬─▶ archive (by age, size)
//	             ▲            ▲                                        │                └─▶ acknowledged: gone
//	             │ Replay     │ ReplayDead                             └─▶ Bury ──▶ dead letters
//	             └── archive  └── dead letters                                      (never pushed out)
//
// What Append has answered with nil is on disk. What the pipeline has not settled comes again. The package owns the
// server, its directory, the shape of messages and the goroutines that hold messages and mend the server; it knows
// nothing of what a page means.
package journal
