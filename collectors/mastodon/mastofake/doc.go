// Package mastofake is a server that speaks Mastodon's public API as documented, with the quirks that real servers
// have, and keeps state: posts are published, counted, deleted, accounts move and vanish. It serves tests and
// benchmarks; a post takes 32 bytes and is written as JSON only when asked for.
package mastofake
