package pipeline

import "jauge.dev/jauge"

// Directory tells which brand an account belongs to; the brand is looked up when a record is normalised and is never
// journalled. Calls are cheap and safe for use by several goroutines.
type Directory interface {
	// Lookup finds an account that is, or was, in config.
	Lookup(k jauge.Key) (jauge.Member, bool)
	// Brand lists the accounts that are, or were, listed under a brand, in a stable order.
	Brand(name string) []jauge.Member
}
