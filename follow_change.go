package jauge

import "time"

// ChangeKind says what a new configuration means for one account.
type ChangeKind string

// The changes.
const (
	ChangeAdded   ChangeKind = "added"
	ChangeRemoved ChangeKind = "removed"
	ChangeBack    ChangeKind = "put_back" // taken out earlier, listed again
	ChangeBrand   ChangeKind = "brand"    // listed under another brand
	ChangeRival   ChangeKind = "competitor"
)

// Change is one account's part of a new configuration.
type Change struct {
	Kind    ChangeKind
	Account Account
	Was     string // the former brand of ChangeBrand
}

// Move asks to move an account's stored rows from one brand to the account's brand of today.
type Move struct {
	Account Account // Brand is where the rows belong
	From    string  // the brand that they bear
}

// BackfillMark is how far an account's backfill came.
type BackfillMark struct {
	Since  time.Time // how far back it was asked to go
	Cursor string    // the collector's own mark
	Done   bool
	Pages  int // listing calls so far
}
