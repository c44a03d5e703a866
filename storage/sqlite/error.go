package sqlite

import (
	"context"
	"errors"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// explain turns an error of the driver into one with a reason and a hint, and counts it.
func (s *Store) explain(op base.Op, what string, err error) error {
	out := describe(what, err)
	s.meter.Failed(op, out)
	return out
}

func describe(what string, err error) error {
	if _, ok := errors.AsType[*jauge.Error](err); ok {
		return err
	}
	out := &jauge.Error{Op: what, Reason: jauge.ReasonOf(err), Err: err}
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return out
	}
	switch e.Code() & 0xff {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		out.Reason = jauge.ReasonDeadline
		out.Hint = "another process keeps the database locked; if this persists, end it or raise the busy timeout"
	case codes.SQLITE_NOTADB, codes.SQLITE_CORRUPT:
		out.Hint = "the file is damaged or no SQLite database; jauge never deletes it: put it aside, restore a copy or " +
			"let jauge make a new one, and replay the journal's archive"
	case codes.SQLITE_FULL:
		out.Hint = "the disk is full: make room, the write is then repeated"
	case codes.SQLITE_CANTOPEN:
		out.Hint = "check that the directory exists and that this user may write in it"
	case codes.SQLITE_READONLY, codes.SQLITE_PERM:
		out.Hint = "check that this user may write the file and its directory"
	case codes.SQLITE_IOERR:
		out.Reason = jauge.ReasonServer
		out.Hint = "the disk gives errors: look at the kernel's log"
	case codes.SQLITE_INTERRUPT:
		out.Reason = jauge.ReasonCanceled
	}
	return out
}

// codeOf gives SQLite's extended result code, 0 where the error is not SQLite's.
func codeOf(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code()
	}
	return 0
}

// ended gives the context's own error where the context has ended, for that is what the caller looks for.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); err != nil && cause != nil {
		return cause
	}
	return err
}
