// Package sqlite keeps rows in one SQLite file: a table per measurement, as jauge.Schemas says; no server, no cgo.
//
//	Write ──▶ one connection, one transaction a call, synchronous=FULL ─┐
//	                                                                    ├─▶ jauge.db (+ -wal, -shm)
//	Read  ──▶ a pool of query-only connections ─────────────────────────┘
//
// The file may be read by other processes beside a running daemon. It owns its schema and the schema's version; it
// knows nothing of what the rows mean, save that a post has one row (see displace in write.go).
package sqlite
