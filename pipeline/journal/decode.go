package journal

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/tinylib/msgp/msgp"

	"jauge.dev/jauge"
)

// Lengths that are read are not trusted: no slice is made longer than this before its contents have been seen.
const (
	trustedObservations = 128
	trustedTexts        = 32
	valueSlab           = 256
	postSlab            = 64
)

var errTruncated = errors.New("message ends early")

// Decode reads a page from the journal's layout. Keys that it does not know are skipped. It never panics and never
// takes more memory than a small multiple of the message's length. Texts of observations are parts of one: who keeps
// one of them for long clones it.
func Decode(b []byte) (jauge.Page, error) {
	var d decoder
	if err := d.page(b, true); err != nil {
		return jauge.Page{}, fmt.Errorf("decode page: %w", err)
	}
	return d.p, nil
}

// head reads a page without its observations.
func head(b []byte) (jauge.Page, error) {
	var d decoder
	if err := d.page(b, false); err != nil {
		return jauge.Page{}, fmt.Errorf("decode head of page: %w", err)
	}
	return d.p, nil
}

type decoder struct {
	p      jauge.Page
	texts  []string
	shapes [][]int
	slab   []jauge.WireValue
	posts  []jauge.Post
	plain  []byte // what is being read
	text   string // the same, made when the first long text is read; those texts are parts of it
}

func (d *decoder) page(b []byte, whole bool) error {
	if len(b) == 0 {
		return errTruncated
	}
	switch b[0] {
	case layoutPlain:
		return d.fields(b[1:], whole)
	case layoutPacked:
		return d.unpack(b[1:], whole)
	}
	return fmt.Errorf("layout %d is not known: this version of jauge reads layouts up to %d", b[0], layoutPacked)
}

// scratch keeps buffers for unpacking; what is decoded holds no part of them.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

func (d *decoder) unpack(b []byte, whole bool) error {
	n, err := s2.DecodedLen(b)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if n > longestPlain {
		return fmt.Errorf("unpack: %d bytes are more than a page has", n)
	}
	buf, ok := scratch.Get().(*[]byte)
	if !ok {
		return errors.New("unpack: no buffer")
	}
	defer scratch.Put(buf)
	plain, err := s2.Decode((*buf)[:cap(*buf)], b)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	*buf = plain
	return d.fields(plain, whole)
}

func (d *decoder) fields(b []byte, whole bool) error {
	d.plain = b
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return err
	}
	for range n {
		var key int
		if key, b, err = msgp.ReadIntBytes(b); err != nil {
			return err
		}
		if !whole && key >= pageTexts {
			return nil // the observations come last
		}
		if b, err = d.pageField(b, key); err != nil {
			return fmt.Errorf("page field %d: %w", key, err)
		}
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes after the page", len(b))
	}
	return nil
}

func (d *decoder) pageField(b []byte, key int) ([]byte, error) {
	p := &d.p
	var err error
	switch key {
	case pagePlatform:
		var s string
		s, b, err = msgp.ReadStringBytes(b)
		p.Platform = jauge.Platform(s)
	case pageAccount:
		p.Account, b, err = msgp.ReadStringBytes(b)
	case pageHandle:
		p.Handle, b, err = msgp.ReadStringBytes(b)
	case pageAPI:
		p.API, b, err = msgp.ReadStringBytes(b)
	case pageRun:
		p.Run, b, err = msgp.ReadStringBytes(b)
	case pageRunStart:
		p.RunStart, b, err = readInstant(b)
	case pageSeq:
		p.Seq, b, err = msgp.ReadIntBytes(b)
	case pagePart:
		p.Part, b, err = msgp.ReadIntBytes(b)
	case pageObservedAt:
		p.ObservedAt, b, err = readInstant(b)
	case pageComplete:
		p.Complete, b, err = msgp.ReadBoolBytes(b)
	case pageTexts:
		b, err = d.readTexts(b)
	case pageShapes:
		b, err = d.readShapes(b)
	case pageObservations:
		b, err = d.readObservations(b)
	default:
		b, err = msgp.Skip(b)
	}
	return b, err
}

func (d *decoder) readTexts(b []byte) ([]byte, error) {
	n, b, err := readArrayHeader(b)
	if err != nil {
		return b, err
	}
	d.texts = make([]string, 0, min(n, trustedTexts))
	for range n {
		var s []byte
		if s, b, err = msgp.ReadStringZC(b); err != nil {
			return b, err
		}
		d.texts = append(d.texts, known(s))
	}
	return b, nil
}

func (d *decoder) readShapes(b []byte) ([]byte, error) {
	n, b, err := readArrayHeader(b)
	if err != nil {
		return b, err
	}
	for range n {
		var cols int
		if cols, b, err = readArrayHeader(b); err != nil {
			return b, err
		}
		shape := make([]int, 0, min(cols, trustedTexts))
		for range cols {
			var t int
			if t, b, err = msgp.ReadIntBytes(b); err != nil {
				return b, err
			}
			if t < 0 || t >= len(d.texts) {
				return b, fmt.Errorf("text %d of %d", t, len(d.texts))
			}
			shape = append(shape, t)
		}
		d.shapes = append(d.shapes, shape)
	}
	return b, nil
}

func (d *decoder) readObservations(b []byte) ([]byte, error) {
	n, b, err := readArrayHeader(b)
	if err != nil {
		return b, err
	}
	if n == 0 {
		return b, nil
	}
	d.p.Observations = make([]jauge.Observation, 0, min(n, trustedObservations))
	for i := range n {
		d.p.Observations = append(d.p.Observations, jauge.Observation{})
		if b, err = d.observation(b, &d.p.Observations[i]); err != nil {
			return b, fmt.Errorf("observation %d: %w", i, err)
		}
	}
	return b, nil
}

func (d *decoder) observation(b []byte, o *jauge.Observation) ([]byte, error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return b, err
	}
	if n == 0 {
		return b, errors.New("it is empty")
	}
	shape := -1
	for range n {
		var key int
		if key, b, err = msgp.ReadIntBytes(b); err != nil {
			return b, err
		}
		switch key {
		case obsShape:
			shape, b, err = msgp.ReadIntBytes(b)
		case obsValues:
			b, err = d.readValues(b, shape, o)
		default:
			b, err = d.observationField(b, key, o)
		}
		if err != nil {
			return b, fmt.Errorf("field %d: %w", key, err)
		}
	}
	return b, nil
}

func (d *decoder) observationField(b []byte, key int, o *jauge.Observation) ([]byte, error) {
	var err error
	var s string
	switch key {
	case obsObject:
		s, b, err = d.shared(b)
		o.Object = jauge.Object(s)
	case obsID:
		o.ID, b, err = d.part(b)
	case obsPeriod:
		s, b, err = d.shared(b)
		o.Period = jauge.Period(s)
	case obsStart:
		o.Start, b, err = readInstant(b)
	case obsFlags:
		var flags int
		flags, b, err = msgp.ReadIntBytes(b)
		o.Final, o.Paid = flags&flagFinal != 0, flags&flagPaid != 0
		if flags&flagPost != 0 {
			d.post(o).Reply = flags&flagReply != 0
		}
	case obsPostState:
		s, b, err = d.shared(b)
		o.PostState = jauge.PostState(s)
	case obsState:
		s, b, err = d.shared(b)
		o.State = jauge.AccountState(s)
	case obsMovedTo:
		o.MovedTo, b, err = msgp.ReadStringBytes(b)
	case obsPublishedAt:
		d.post(o).PublishedAt, b, err = readInstant(b)
	case obsFormat:
		s, b, err = d.shared(b)
		d.post(o).Format = jauge.Format(s)
	case obsLanguage:
		d.post(o).Language, b, err = d.shared(b)
	case obsPermalink:
		d.post(o).Permalink, b, err = d.part(b)
	case obsExcerpt:
		d.post(o).Excerpt, b, err = d.part(b)
	default:
		b, err = msgp.Skip(b)
	}
	return b, err
}

func (d *decoder) post(o *jauge.Observation) *jauge.Post {
	if o.Post == nil {
		if len(d.posts) == 0 {
			d.posts = make([]jauge.Post, min(postSlab, max(1, cap(d.p.Observations)-len(d.p.Observations)+1)))
		}
		o.Post, d.posts = &d.posts[0], d.posts[1:]
	}
	return o.Post
}

// part reads a text as a part of one that holds the whole message: a page has hundreds of them.
func (d *decoder) part(b []byte) (string, []byte, error) {
	s, b, err := msgp.ReadStringZC(b)
	if err != nil {
		return "", b, err
	}
	if d.text == "" {
		d.text = string(d.plain)
	}
	end := len(d.plain) - len(b)
	return d.text[end-len(s) : end], b, nil
}

func (d *decoder) shared(b []byte) (string, []byte, error) {
	i, b, err := msgp.ReadIntBytes(b)
	if err != nil {
		return "", b, err
	}
	if i < 0 || i >= len(d.texts) {
		return "", b, fmt.Errorf("text %d of %d", i, len(d.texts))
	}
	return d.texts[i], b, nil
}
