package influx

import (
	"bytes"
	"errors"
	"io"
)

// source hands out the bytes of an answer one by one or in runs. It is a bufio.Reader whose hot paths can be inlined
// and whose runs end at a quote or a backslash.
type source struct {
	r        io.Reader
	buf      []byte
	pos, end int
	err      error // of r, once its bytes are used up
}

func newSource(r io.Reader) *source { return &source{r: r, buf: make([]byte, 64<<10)} }

// readByte gives the next byte.
func (s *source) readByte() (byte, error) {
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	c := s.buf[s.pos]
	s.pos++
	return c, nil
}

// unread takes back the byte that readByte has just given.
func (s *source) unread() { s.pos-- }

// fill reads more once all has been used.
func (s *source) fill() error {
	if s.err != nil {
		return s.err
	}
	for range 100 { // a reader may give nothing now and then, but not for ever
		n, err := s.r.Read(s.buf)
		s.pos, s.end, s.err = 0, n, err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.err = io.ErrNoProgress
	return s.err
}

// run appends what comes before the next quote or backslash, and gives that.
func (s *source) run(to []byte, limit int) ([]byte, byte, error) {
	for from := len(to); len(to)-from <= limit; {
		if s.pos == s.end {
			if err := s.fill(); err != nil {
				return to, 0, err
			}
		}
		have := s.buf[s.pos:s.end]
		i := bytes.IndexByte(have, '"')
		if i >= 0 {
			have = have[:i]
		}
		if j := bytes.IndexByte(have, '\\'); j >= 0 {
			i, have = j, have[:j]
		}
		to = append(to, have...)
		s.pos += len(have)
		if i >= 0 {
			c, err := s.readByte()
			return to, c, err
		}
	}
	return to, 0, errors.New("a text without end")
}
