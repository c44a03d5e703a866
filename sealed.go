package jauge

import (
	"errors"
	"fmt"
	"strings"
)

// Sealed is a small record whose value only its owner can read: a store keeps it as it is, and knows nothing of it.
type Sealed struct {
	Key   string // path-like: "grant/01J…"; see CheckSealed
	Value []byte // opaque, at most MaxSealed bytes
	Rev   uint64 // what it takes to replace it: rises with every change of the record, never 0, never given twice
}

// ErrStale says that a record is not at the revision that the caller knows: somebody else changed, made or removed it.
var ErrStale = errors.New("record was changed by somebody else meanwhile")

// Bounds of a sealed record, in bytes, that every store can keep.
const (
	MaxSealed    = 512 << 10 // of the value
	maxSealedKey = 200
)

// CheckSealed refuses a record that some store could not keep: its key must be of letters, digits and "/-_.", without a
// dot at its ends or two in a row, and neither may be too long. The error is an *Error with ReasonBadRequest.
func CheckSealed(key string, value []byte) error {
	const op = "check sealed record"
	wrong := key == "" || len(key) > maxSealedKey || key[0] == '.' || key[len(key)-1] == '.' || strings.Contains(key, "..")
	for i := 0; i < len(key) && !wrong; i++ {
		c := key[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		wrong = !letter && !strings.ContainsRune("/-_.", rune(c))
	}
	switch {
	case wrong:
		return &Error{Op: op, Reason: ReasonBadRequest, Err: fmt.Errorf("%q is no key", key)}
	case len(value) > MaxSealed:
		return &Error{Op: op, Reason: ReasonBadRequest, Err: fmt.Errorf("%s has %d bytes, more than %d", key, len(value), MaxSealed)}
	}
	return nil
}
