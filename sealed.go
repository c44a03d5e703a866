package jauge

import "errors"

// Sealed is a small record whose value only its owner can read: a store keeps it as it is, and knows nothing of it.
type Sealed struct {
	Key   string // path-like: "grant/01J…"; letters, digits and "/-_."
	Value []byte // opaque
	Rev   uint64 // what it takes to replace it: rises with every change of the record, never 0
}

// ErrStale says that a record is not at the revision that the caller knows: somebody else changed, made or removed it.
var ErrStale = errors.New("record was changed by somebody else meanwhile")
