package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

// ReplayDead publishes dead letters to the work stream again and removes them from the dead letters; without ids it
// takes all. It returns how many. The order of an account is kept, and within a run pages go before the page that
// bears the run's mark, so that the run is complete when its mark comes. A crash in the middle leaves letters that
// are replayed once more, which is harmless. It waits while the journal is full.
func (j *Journal) ReplayDead(ctx context.Context, ids ...string) (int, error) {
	s, err := j.session(ctx)
	if err != nil {
		return 0, failure("replay dead letters", err)
	}
	all, err := s.letters(ctx)
	if err != nil {
		return 0, failure("replay dead letters", err)
	}
	if len(ids) > 0 {
		if unknown := unknownIDs(all, ids); len(unknown) > 0 {
			return 0, &jauge.Error{
				Op: "replay dead letters", Reason: jauge.ReasonNotFound,
				Err:  fmt.Errorf("no letter has the id %s", strings.Join(unknown, ", ")),
				Hint: "see jauge deadletter list",
			}
		}
		all = slices.DeleteFunc(all, func(l DeadLetter) bool { return !slices.Contains(ids, l.ID) })
	}
	marksLast(all)
	n, suffix, done := 0, ulid.Make().String(), make(map[string]bool, len(all))
	for i := range all {
		if err := j.replayLetter(ctx, s, &all[i], suffix); err != nil {
			return n, failure("replay dead letters", err)
		}
		if !done[all[i].ID] {
			done[all[i].ID] = true
			n++
		}
	}
	return n, nil
}

func unknownIDs(all []DeadLetter, ids []string) []string {
	var unknown []string
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(l DeadLetter) bool { return l.ID == id }) {
			unknown = append(unknown, id)
		}
	}
	return unknown
}

// marksLast moves, among the letters of one run of one account, those that bear the run's mark behind the others; all
// else keeps its order.
func marksLast(all []DeadLetter) {
	type run struct {
		jauge.Key
		run string
	}
	places := make(map[run][]int)
	for i := range all {
		r := run{jauge.Key{Platform: all[i].Platform, Account: all[i].Account}, all[i].Run}
		places[r] = append(places[r], i)
	}
	for _, at := range places {
		letters := make([]DeadLetter, len(at))
		for i, p := range at {
			letters[i] = all[p]
		}
		slices.SortStableFunc(letters, func(a, b DeadLetter) int { return rank(&a) - rank(&b) })
		for i, p := range at {
			all[p] = letters[i]
		}
	}
}

func rank(l *DeadLetter) int {
	if l.Page != nil && l.Page.Complete {
		return 1
	}
	return 0
}

// replayLetter publishes one letter to the work stream and removes it. The pipeline may find it just as broken and
// bury it again, under the same id, before we have removed it, and our removal must not take that new letter: so the
// letter first moves to a subject of its own, which makes room for the new one, and the copy is what is removed last.
func (j *Journal) replayLetter(ctx context.Context, s *session, l *DeadLetter, suffix string) error {
	addr, err := address(jauge.Key{Platform: l.Platform, Account: l.Account})
	if err != nil {
		return err
	}
	getting, cancel := context.WithTimeout(ctx, j.cfg.Timeout)
	defer cancel()
	m, err := s.dead.GetMsg(getting, l.seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // somebody else has replayed it
	}
	if err != nil {
		return fmt.Errorf("read letter %s: %w", l.ID, err)
	}
	copySeq := l.seq
	if !l.copied {
		if copySeq, err = j.moveLetter(ctx, s, m, addr, l.ID); err != nil {
			return err
		}
	}
	page := l.Page
	if page == nil {
		page = &jauge.Page{Run: l.Run, Seq: l.page}
	}
	// The letter's own id is part of it: a run's mark shares run, sequence and part with the page it was on.
	if err := j.again(ctx, addr, messageID(page, addr)+"."+l.ID, suffix, m.Data); err != nil {
		return err
	}
	return deleteLetter(ctx, s, copySeq, j.cfg.Timeout)
}

// moveLetter stores the copy, then deletes the letter, and returns where the copy lies.
func (j *Journal) moveLetter(ctx context.Context, s *session, l *jetstream.RawStreamMsg, addr, id string) (uint64, error) {
	m := nats.NewMsg(deadPrefix + addr + "." + id + "." + replayToken)
	for _, h := range []string{headerReason, headerRun, headerSeq, headerRaw} {
		if v := l.Header.Get(h); v != "" {
			m.Header.Set(h, v)
		}
	}
	m.Data = l.Data
	seq := uint64(0)
	ack, err := s.publish(ctx, m, j.cfg.Timeout)
	switch {
	case err == nil:
		seq = ack.Sequence
	case isHeld(err): // an earlier replay left it
		old, err := s.dead.GetLastMsgForSubject(ctx, m.Subject)
		if err != nil {
			return 0, fmt.Errorf("find copy of letter %s: %w", id, err)
		}
		seq = old.Sequence
	default:
		return 0, fmt.Errorf("copy letter %s: %w", id, err)
	}
	return seq, deleteLetter(ctx, s, l.Sequence, j.cfg.Timeout)
}

func deleteLetter(ctx context.Context, s *session, seq uint64, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := s.dead.DeleteMsg(ctx, seq); err != nil && !isGone(err) {
		return fmt.Errorf("remove letter: %w", err)
	}
	return nil
}
