// Package influx keeps rows in InfluxDB 2.x: a measurement of the server per measurement of ours, in two buckets.
//
//	Write ──▶ lines (line.go) ──▶ batches, a few at once ──▶ gzip level 1 ──▶ /api/v2/write ─┬─▶ <bucket>: kept for ever,
//	                                                                                        │   shards of a year
//	                                                                                        └─▶ <bucket>_history: kept for
//	Read  ──▶ InfluxQL ──▶ /query, in chunks ──▶ rows, one at a time                             a while, weekly shards
//
// Lines are written through the client's blocking API alone: its asynchronous one gives up points in silence when the
// server is away or refuses some. What the server refuses for good is found by halving batches and named row by row.
package influx
