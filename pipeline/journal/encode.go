package journal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/tinylib/msgp/msgp"

	"jauge.dev/jauge"
)

// The first byte of every message is the layout of what follows. A new one is added when a reader of the old could not
// make sense of it; fields may be added without it, since readers skip unknown keys.
const (
	layoutPlain  = 1 // the page's map
	layoutPacked = 2 // the same, compressed with S2
)

const (
	// packFrom is the least length that is worth packing.
	packFrom = 512
	// longestPlain bounds a page before packing, so that a reader never unpacks more.
	longestPlain = 4 << 20
)

// encoders are kept for reuse: their buffers are as long as a page.
var encoders = sync.Pool{New: func() any { return &encoder{at: make(map[string]int, 16)} }}

// Keys of the page's map. A zero field is left out.
const (
	pagePlatform = iota + 1
	pageAccount
	pageHandle
	pageAPI
	pageRun
	pageRunStart
	pageSeq
	pagePart
	pageObservedAt
	pageComplete
	pageTexts        // texts that repeat: wire names, objects, periods, states, formats, languages
	pageShapes       // lists of wire names, as positions in texts; a shape is the columns of an observation's values
	pageObservations // after texts and shapes
)

// Keys of an observation's map. Most values of one page have one shape, so that a value costs its digits only.
const (
	obsObject = iota + 1
	obsID
	obsPeriod
	obsStart
	obsFlags
	obsShape
	obsValues // as many as the shape has columns
	obsPublishedAt
	obsFormat
	obsLanguage
	obsPermalink
	obsExcerpt
	obsPostState
	obsState
	obsMovedTo
)

const (
	flagFinal = 1 << iota
	flagPaid
	flagPost
	flagReply
)

// shapesLookedAt bounds how far back the encoder looks for a shape that fits.
const shapesLookedAt = 8

// Encode appends a page in the journal's layout to dst. Instants are kept as UTC nanoseconds, the monotonic clock is
// dropped. A number that is NaN or infinite is refused: no platform can have said it.
func Encode(dst []byte, p *jauge.Page) ([]byte, error) {
	e, ok := encoders.Get().(*encoder)
	if !ok {
		return dst, errors.New("encode page: no encoder")
	}
	defer encoders.Put(e)
	plain, err := e.page(p)
	if err != nil {
		return dst, err
	}
	if len(plain) < packFrom {
		return append(append(dst, layoutPlain), plain...), nil
	}
	at := len(dst) + 1
	dst = slices.Grow(dst, 1+s2.MaxEncodedLen(len(plain)))
	dst = append(dst, layoutPacked)
	return dst[:at+len(s2.Encode(dst[at:cap(dst)], plain))], nil
}

// page encodes into the encoder's own buffer.
func (e *encoder) page(p *jauge.Page) ([]byte, error) {
	e.texts, e.shapes, e.body = e.texts[:0], e.shapes[:0], e.body[:0]
	clear(e.at)
	for i := range p.Observations {
		if err := e.observation(&p.Observations[i]); err != nil {
			return nil, err
		}
	}
	dst := msgp.AppendMapHeader(e.out[:0], e.pageFields(p))
	dst = appendText(dst, pagePlatform, string(p.Platform))
	dst = appendText(dst, pageAccount, p.Account)
	dst = appendText(dst, pageHandle, p.Handle)
	dst = appendText(dst, pageAPI, p.API)
	dst = appendText(dst, pageRun, p.Run)
	dst = appendInstant(dst, pageRunStart, p.RunStart)
	dst = appendNumber(dst, pageSeq, p.Seq)
	dst = appendNumber(dst, pagePart, p.Part)
	dst = appendInstant(dst, pageObservedAt, p.ObservedAt)
	if p.Complete {
		dst = msgp.AppendBool(msgp.AppendInt(dst, pageComplete), true)
	}
	if len(p.Observations) > 0 {
		dst = e.appendObservations(dst, len(p.Observations))
	}
	e.out = dst
	if len(dst) > longestPlain {
		return nil, fmt.Errorf("encode page: %d bytes: %w", len(dst), errTooLong)
	}
	return dst, nil
}

// errTooLong says that a page has to be cut.
var errTooLong = errors.New("page is too long for one message")

func (e *encoder) appendObservations(dst []byte, n int) []byte {
	dst = msgp.AppendArrayHeader(msgp.AppendInt(dst, pageTexts), uint32(len(e.texts))) //nolint:gosec // bounded by the page
	for _, s := range e.texts {
		dst = msgp.AppendString(dst, s)
	}
	dst = msgp.AppendArrayHeader(msgp.AppendInt(dst, pageShapes), uint32(len(e.shapes))) //nolint:gosec // bounded by the page
	for _, s := range e.shapes {
		dst = msgp.AppendArrayHeader(dst, uint32(len(s))) //nolint:gosec // bounded by the page
		for _, t := range s {
			dst = msgp.AppendInt(dst, t)
		}
	}
	dst = msgp.AppendArrayHeader(msgp.AppendInt(dst, pageObservations), uint32(n)) //nolint:gosec // bounded by the page
	return append(dst, e.body...)
}

type encoder struct {
	at     map[string]int
	texts  []string
	shapes [][]int
	row    []int
	body   []byte // the observations
	out    []byte // the page
}

func (e *encoder) pageFields(p *jauge.Page) uint32 {
	n := count(p.Platform != "", p.Account != "", p.Handle != "", p.API != "", p.Run != "", !p.RunStart.IsZero(),
		p.Seq != 0, p.Part != 0, !p.ObservedAt.IsZero(), p.Complete)
	if len(p.Observations) > 0 {
		n += 3
	}
	return n
}

func count(present ...bool) (n uint32) {
	for _, p := range present {
		if p {
			n++
		}
	}
	return n
}

func (e *encoder) text(s string) int {
	if i, ok := e.at[s]; ok {
		return i
	}
	i := len(e.texts)
	e.at[s] = i
	e.texts = append(e.texts, s)
	return i
}

// shape finds or makes the shape of an observation's values.
func (e *encoder) shape(values []jauge.WireValue) int {
	e.row = e.row[:0]
	for i := range values {
		e.row = append(e.row, e.text(values[i].Wire))
	}
	for i := len(e.shapes) - 1; i >= max(0, len(e.shapes)-shapesLookedAt); i-- {
		if slices.Equal(e.shapes[i], e.row) {
			return i
		}
	}
	e.shapes = append(e.shapes, slices.Clone(e.row))
	return len(e.shapes) - 1
}

func (e *encoder) observation(o *jauge.Observation) error {
	flags, post := 0, o.Post
	if o.Final {
		flags |= flagFinal
	}
	if o.Paid {
		flags |= flagPaid
	}
	n := count(o.Object != "", o.ID != "", o.Period != "", !o.Start.IsZero(), o.PostState != "", o.State != "", o.MovedTo != "")
	if len(o.Values) > 0 {
		n += 2
	}
	if post != nil {
		flags |= flagPost
		if post.Reply {
			flags |= flagReply
		}
		n += count(!post.PublishedAt.IsZero(), post.Format != "", post.Language != "", post.Permalink != "", post.Excerpt != "")
	}
	b := msgp.AppendMapHeader(e.body, n+count(flags != 0))
	b = e.shared(b, obsObject, string(o.Object))
	b = appendText(b, obsID, o.ID)
	b = e.shared(b, obsPeriod, string(o.Period))
	b = appendInstant(b, obsStart, o.Start)
	b = appendNumber(b, obsFlags, flags)
	if len(o.Values) > 0 {
		b = msgp.AppendInt(msgp.AppendInt(b, obsShape), e.shape(o.Values))
		b = msgp.AppendArrayHeader(msgp.AppendInt(b, obsValues), uint32(len(o.Values))) //nolint:gosec // bounded by the page
		for i := range o.Values {
			v := o.Values[i].Value
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("encode %s of %s %q: %v is no value", o.Values[i].Wire, o.Object, o.ID, v)
			}
			b = appendValue(b, v)
		}
	}
	if post != nil {
		b = appendInstant(b, obsPublishedAt, post.PublishedAt)
		b = e.shared(b, obsFormat, string(post.Format))
		b = e.shared(b, obsLanguage, post.Language)
		b = appendText(b, obsPermalink, post.Permalink)
		b = appendText(b, obsExcerpt, post.Excerpt)
	}
	b = e.shared(b, obsPostState, string(o.PostState))
	b = e.shared(b, obsState, string(o.State))
	e.body = appendText(b, obsMovedTo, o.MovedTo)
	return nil
}

// shared appends the position of a text that repeats.
func (e *encoder) shared(b []byte, key int, s string) []byte {
	if s == "" {
		return b
	}
	return msgp.AppendInt(msgp.AppendInt(b, key), e.text(s))
}

// exact is the first whole number beyond which not every one is a float64.
const exact = 1 << 53

// appendValue writes a whole number in as few bytes as it needs and anything else, -0 included, as a float64.
func appendValue(b []byte, v float64) []byte {
	if v == math.Trunc(v) && v < exact && v > -exact && (v != 0 || !math.Signbit(v)) {
		return msgp.AppendInt64(b, int64(v))
	}
	return msgp.AppendFloat64(b, v)
}

func appendText(b []byte, key int, s string) []byte {
	if s == "" {
		return b
	}
	return msgp.AppendString(msgp.AppendInt(b, key), s)
}

func appendNumber(b []byte, key, n int) []byte {
	if n == 0 {
		return b
	}
	return msgp.AppendInt(msgp.AppendInt(b, key), n)
}

// The years that Unix nanoseconds can hold whole; a platform may hand on a date that somebody made up.
const (
	firstYear = 1678
	lastYear  = 2261
)

// appendInstant writes Unix nanoseconds, or seconds and nanoseconds where the year is beyond what those can hold.
func appendInstant(b []byte, key int, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = msgp.AppendInt(b, key)
	if y := t.UTC().Year(); y >= firstYear && y <= lastYear {
		return msgp.AppendInt64(b, t.UnixNano())
	}
	b = msgp.AppendInt64(msgp.AppendArrayHeader(b, 2), t.Unix())
	return msgp.AppendInt(b, t.Nanosecond())
}
