package journal

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	Page     *jauge.Page // with its first observation only, as a list may be long; nil where it cannot be decoded

	seq    uint64 // in the dead-letter stream
	page   int    // the page's sequence
	copied bool   // it is the copy that a replay made
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

// cloned copies observations with all that they hold, so that nothing keeps the page that they were read from.
func cloned(obs []jauge.Observation) []jauge.Observation {
	out := slices.Clone(obs)
	for i := range out {
		o := &out[i]
		o.ID, o.Values = strings.Clone(o.ID), slices.Clone(o.Values)
		if o.Post != nil {
			p := *o.Post
			p.Permalink, p.Excerpt = strings.Clone(p.Permalink), strings.Clone(p.Excerpt)
			o.Post = &p
		}
	}
	return out
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

// Buried lists every dead letter, its page with its first observation only: enough to tell a page from one that bears
// nothing but its run's mark.
func (j *Journal) Buried(ctx context.Context) ([]pipeline.Letter, error) {
	all, err := j.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]pipeline.Letter, len(all))
	for i := range all {
		l := &all[i]
		out[i] = pipeline.Letter{Page: jauge.Page{Platform: l.Platform, Account: l.Account, Run: l.Run, Seq: l.page}, Reason: l.Reason}
		if l.Page != nil {
			out[i].Page = *l.Page
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
		seq: m.Sequence, copied: len(parts) > 3,
	}
	l.page, _ = strconv.Atoi(m.Header.Get(headerSeq)) // 0 where it is not known
	// What could not be decoded when it was buried may be readable to a newer version.
	if p, err := Decode(m.Data); err == nil {
		p.Observations = cloned(p.Observations[:min(1, len(p.Observations))])
		l.Page = &p
	}
	return l, nil
}
