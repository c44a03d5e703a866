package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"jauge.dev/jauge"
)

// DiscardDead removes dead letters for good and returns how many: what they held is given up. With a page goes the mark
// of a complete reading of its run, where that is a letter too, since a run that lacks a page for ever is never
// complete; marks are not counted. It takes ids only, never all. A crash in the middle leaves letters, and no mark
// whose page is gone.
func (j *Journal) DiscardDead(ctx context.Context, ids ...string) (int, error) {
	const op = "discard dead letters"
	if len(ids) == 0 {
		return 0, &jauge.Error{Op: op, Reason: jauge.ReasonBadRequest, Err: errors.New("no letter is named"), Hint: "see jauge deadletter list"}
	}
	s, err := j.session(ctx)
	if err != nil {
		return 0, failure(op, err)
	}
	all, err := s.letters(ctx)
	if err != nil {
		return 0, failure(op, err)
	}
	if unknown := unknownIDs(all, ids); len(unknown) > 0 {
		return 0, &jauge.Error{
			Op: op, Reason: jauge.ReasonNotFound, Err: fmt.Errorf("no letter has the id %s", strings.Join(unknown, ", ")),
			Hint: "see jauge deadletter list",
		}
	}
	named, marks := discarded(all, ids)
	for _, l := range slices.Concat(marks, named) {
		if err := deleteLetter(ctx, s, l.seq, j.cfg.Timeout); err != nil {
			return 0, failure(op, err)
		}
		j.log.Warn("dead letter was discarded", "id", l.ID, "platform", l.Platform, "account", l.Account, "run", l.Run,
			"bytes", l.Size, "reason", l.Reason)
	}
	return len(slices.Compact(slices.Sorted(slices.Values(ids)))), nil
}

// discarded parts out the letters that bear one of the ids, with the copies that interrupted replays left of them, and
// the marks of runs that lose a page thereby.
func discarded(all []DeadLetter, ids []string) (named, marks []DeadLetter) {
	type run struct {
		jauge.Key
		run string
	}
	of := func(l *DeadLetter) run { return run{jauge.Key{Platform: l.Platform, Account: l.Account}, l.Run} }
	torn := map[run]bool{}
	for i := range all {
		if l := &all[i]; slices.Contains(ids, l.ID) {
			named = append(named, *l)
			torn[of(l)] = torn[of(l)] || !isMark(l)
		}
	}
	for i := range all {
		if l := &all[i]; isMark(l) && torn[of(l)] && !slices.Contains(ids, l.ID) {
			marks = append(marks, *l)
		}
	}
	return named, marks
}

// isMark tells whether a letter holds nothing but its run's mark.
func isMark(l *DeadLetter) bool {
	return l.Page != nil && l.Page.Complete && len(l.Page.Observations) == 0
}
