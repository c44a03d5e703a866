package journal

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
	"jauge.dev/jauge/pipeline"
)

// Headers of a dead letter.
const (
	headerReason = "Jauge-Reason"
	headerRun    = "Jauge-Run"
	headerSeq    = "Jauge-Seq"
	headerRaw    = "Jauge-Raw" // the body is what could not be decoded
)

const (
	// replayToken ends the subject of the copy of a letter that is being replayed: see replayLetter.
	replayToken   = "replay"
	longestReason = 1 << 10
	letterIDBytes = 15
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// DeadLetter is a dead letter as it lies in the journal.
type DeadLetter struct {
	ID       string
	Platform jauge.Platform
	Account  string
	Run      string
	Reason   string
	At       time.Time   // when it was buried, UTC
	Size     int         // bytes
	Page     *jauge.Page // nil where it cannot be decoded

	seq    uint64
	raw    bool
	body   []byte
	copied bool // it is the copy that a replay made
}

// Bury puts letters into the dead-letter stream and returns when they are on disk. A letter's id is a hash of its
// contents and part of its subject, of which the stream takes one only: the same letter is buried once, whenever it
// comes again. Letters are never pushed out: when they reach their bound Bury gives an error that is ErrFull.
func (j *Journal) Bury(ctx context.Context, letters []pipeline.Letter) error {
	if len(letters) == 0 {
		return nil
	}
	s, err := j.session(ctx)
	if err != nil {
		return failure("bury letters", err)
	}
	ctx, cancel := context.WithTimeout(ctx, j.cfg.Timeout*archivePatience)
	defer cancel()
	info, err := s.dead.Info(ctx)
	if err != nil {
		j.alarm(ctx, err)
		return failure("bury letters", err)
	}
	if info.State.Bytes >= uint64(j.cfg.DeadMaxBytes) { //nolint:gosec // a positive bound
		return j.deadFull()
	}
	for i := range letters {
		m, err := letterMessage(&letters[i])
		if err != nil {
			return &jauge.Error{Op: "bury letters", Reason: jauge.ReasonBadRequest, Err: err}
		}
		ack, err := s.publish(ctx, m, j.cfg.Timeout)
		switch {
		case err == nil && !ack.Duplicate:
			j.met.dead.Inc()
		case err == nil, isHeld(err): // it lies there already
		case isFull(err):
			return j.deadFull()
		default:
			j.alarm(ctx, err)
			return failure("bury letters", err)
		}
	}
	return nil
}

func (j *Journal) deadFull() error {
	return &jauge.Error{
		Op: "bury letters", Reason: jauge.ReasonQuota, Err: fmt.Errorf("dead letters have reached their bound of %d bytes: %w", j.cfg.DeadMaxBytes, ErrFull),
		Hint: "look at them with jauge deadletter list, mend the cause and replay them, or raise the bound",
	}
}

func letterMessage(l *pipeline.Letter) (*nats.Msg, error) {
	addr, err := address(l.Page.Key())
	if err != nil {
		return nil, err
	}
	body := l.Raw
	if len(body) == 0 {
		if body, err = Encode(nil, &l.Page); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(append([]byte(addr+"\n"), body...))
	id := idEncoding.EncodeToString(sum[:letterIDBytes])
	m := nats.NewMsg(deadPrefix + addr + "." + id)
	m.Header.Set(headerReason, oneLine(l.Reason))
	m.Header.Set(headerRun, oneLine(l.Page.Run))
	m.Header.Set(headerSeq, strconv.Itoa(l.Page.Seq))
	if len(l.Raw) > 0 {
		m.Header.Set(headerRaw, "1")
	}
	m.Data = body
	return m, nil
}

// oneLine makes a text fit a header: no line breaks, bounded.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > longestReason {
		s = strings.ToValidUTF8(s[:longestReason], "") + "…"
	}
	return strings.TrimSpace(s)
}

// DeadLetters lists the dead letters, oldest first.
func (j *Journal) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	s, err := j.session(ctx)
	if err != nil {
		return nil, failure("list dead letters", err)
	}
	all, err := s.letters(ctx)
	if err != nil {
		return nil, failure("list dead letters", err)
	}
	out := make([]DeadLetter, 0, len(all))
	seen := make(map[string]int, len(all))
	for i := range all {
		// A letter and the copy of it that an interrupted replay left are one.
		if at, twice := seen[all[i].ID]; twice {
			if out[at].copied {
				out[at] = all[i]
			}
			continue
		}
		seen[all[i].ID] = len(out)
		out = append(out, all[i])
	}
	return out, nil
}

// Buried lists account, run, sequence and mark of every dead letter.
func (j *Journal) Buried(ctx context.Context) ([]pipeline.Letter, error) {
	all, err := j.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]pipeline.Letter, len(all))
	for i := range all {
		l := &all[i]
		out[i] = pipeline.Letter{Page: jauge.Page{Platform: l.Platform, Account: l.Account, Run: l.Run}, Reason: l.Reason}
		if l.Page != nil {
			p := *l.Page
			p.Observations = nil
			out[i].Page = p
		}
	}
	return out, nil
}

func (s *session) letters(ctx context.Context) ([]DeadLetter, error) {
	var out []DeadLetter
	for m, err := range scan(ctx, s.dead, deadPrefix+">") {
		if err != nil {
			return nil, err
		}
		l, err := readLetter(m)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func readLetter(m *jetstream.RawStreamMsg) (DeadLetter, error) {
	key, err := keyOf(m.Subject, deadPrefix)
	if err != nil {
		return DeadLetter{}, err
	}
	parts := strings.Split(strings.TrimPrefix(m.Subject, deadPrefix), ".")
	if len(parts) < 3 {
		return DeadLetter{}, fmt.Errorf("subject %q names no letter", m.Subject)
	}
	l := DeadLetter{
		ID: parts[2], Platform: key.Platform, Account: key.Account,
		Run: m.Header.Get(headerRun), Reason: m.Header.Get(headerReason), At: m.Time.UTC(), Size: len(m.Data),
		seq: m.Sequence, raw: m.Header.Get(headerRaw) != "", body: m.Data, copied: len(parts) > 3,
	}
	// What could not be decoded when it was buried may be readable to a newer version.
	if p, err := Decode(m.Data); err == nil {
		l.Page = &p
	}
	return l, nil
}

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
	copySeq := l.seq
	if !l.copied {
		if copySeq, err = j.moveLetter(ctx, s, l, addr); err != nil {
			return err
		}
	}
	id := l.ID
	if l.Page != nil {
		id = messageID(l.Page, addr)
	}
	// The letter's own id is part of it: a run's mark shares run, sequence and part with the page it was on.
	if err := j.again(ctx, addr, id+"."+l.ID, suffix, l.body); err != nil {
		return err
	}
	return deleteLetter(ctx, s, copySeq, j.cfg.Timeout)
}

// moveLetter stores the copy, then deletes the letter, and returns where the copy lies.
func (j *Journal) moveLetter(ctx context.Context, s *session, l *DeadLetter, addr string) (uint64, error) {
	m := nats.NewMsg(deadPrefix + addr + "." + l.ID + "." + replayToken)
	m.Header.Set(headerReason, l.Reason)
	m.Header.Set(headerRun, l.Run)
	if l.raw {
		m.Header.Set(headerRaw, "1")
	}
	m.Data = l.body
	seq := uint64(0)
	ack, err := s.publish(ctx, m, j.cfg.Timeout)
	switch {
	case err == nil:
		seq = ack.Sequence
	case isHeld(err): // an earlier replay left it
		old, err := s.dead.GetLastMsgForSubject(ctx, m.Subject)
		if err != nil {
			return 0, fmt.Errorf("find copy of letter %s: %w", l.ID, err)
		}
		seq = old.Sequence
	default:
		return 0, fmt.Errorf("copy letter %s: %w", l.ID, err)
	}
	return seq, deleteLetter(ctx, s, l.seq, j.cfg.Timeout)
}

func deleteLetter(ctx context.Context, s *session, seq uint64, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := s.dead.DeleteMsg(ctx, seq); err != nil && !isGone(err) && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("remove letter: %w", err)
	}
	return nil
}
