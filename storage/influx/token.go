package influx

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxToken = 16 << 20 // bytes of one string
	maxDepth = 32       // nesting of what is skipped
)

// object reads {"key":value,…}; member must consume the value.
func (d *decoder) object(member func(key string) error) error {
	if err := d.expect('{'); err != nil {
		return err
	}
	return d.items('}', func() error {
		key, err := d.value(nil)
		if err != nil {
			return err
		}
		if key.kind != cellString {
			return errors.New("a member of an object has no name")
		}
		if err := d.expect(':'); err != nil {
			return err
		}
		return member(string(key.text))
	})
}

func (d *decoder) array(item func() error) error {
	if c, err := d.peek(); err != nil || c == 'n' {
		if err != nil {
			return err
		}
		return d.skip(0) // null where there is nothing
	}
	if err := d.expect('['); err != nil {
		return err
	}
	return d.items(']', item)
}

func (d *decoder) items(end byte, item func() error) error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c == end {
		return d.expect(end)
	}
	for {
		if err := item(); err != nil {
			return err
		}
		c, err := d.next()
		switch {
		case err != nil:
			return err
		case c == end:
			return nil
		case c != ',':
			return fmt.Errorf("%q where a comma or %q belongs", c, end)
		}
	}
}

// value reads a string, number, boolean or null; a text is appended to buf.
func (d *decoder) value(buf []byte) (cell, error) {
	c, err := d.next()
	if err != nil {
		return cell{}, err
	}
	switch {
	case c == '"':
		text, err := d.text(buf)
		return cell{cellString, text}, err
	case c == 'n':
		return cell{kind: cellNull}, d.rest("ull")
	case c == 't':
		return cell{kind: cellTrue}, d.rest("rue")
	case c == 'f':
		return cell{kind: cellFalse}, d.rest("alse")
	case c == '-' || (c >= '0' && c <= '9'):
		text, err := d.number(append(buf, c))
		return cell{cellNumber, text}, err
	}
	return cell{}, fmt.Errorf("%q where a value belongs", c)
}

func (d *decoder) number(buf []byte) ([]byte, error) {
	for n := 0; n < 400; n++ { // the longest float64 written out has some 330 digits
		c, err := d.r.readByte()
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
		switch {
		case c >= '0' && c <= '9', c == '.', c == 'e', c == 'E', c == '+', c == '-':
			buf = append(buf, c)
		default:
			d.r.unread()
			return buf, nil
		}
	}
	return buf, errors.New("a number without end")
}

// text reads the rest of a string, to its closing quote.
func (d *decoder) text(buf []byte) ([]byte, error) {
	if buf == nil {
		buf = []byte{}
	}
	for from := len(buf); len(buf)-from <= maxToken; {
		var c byte
		var err error
		if buf, c, err = d.r.run(buf, maxToken); err != nil || c == '"' {
			return buf, err
		}
		if buf, err = d.escape(buf); err != nil {
			return buf, err
		}
	}
	return buf, errors.New("a text without end")
}

func (d *decoder) escape(buf []byte) ([]byte, error) {
	c, err := d.r.readByte()
	if err != nil {
		return buf, err
	}
	return d.escaped(buf, c)
}

// escaped appends what an escape stands for, c being the character after its backslash.
func (d *decoder) escaped(buf []byte, c byte) ([]byte, error) {
	switch c {
	case 'n':
		return append(buf, '\n'), nil
	case 't':
		return append(buf, '\t'), nil
	case 'r':
		return append(buf, '\r'), nil
	case 'b':
		return append(buf, '\b'), nil
	case 'f':
		return append(buf, '\f'), nil
	case '"', '\\', '/':
		return append(buf, c), nil
	case 'u':
		r, err := d.hex()
		if err != nil {
			return buf, err
		}
		return d.surrogate(buf, r)
	}
	return buf, fmt.Errorf("escape \\%c in a text", c)
}

// surrogate appends a character, joined with the second half that follows where it is the first half of one; a half
// alone becomes the replacement character, as the standard library has it.
func (d *decoder) surrogate(buf []byte, r rune) ([]byte, error) {
	for utf16.IsSurrogate(r) {
		c, err := d.r.readByte()
		if err != nil {
			return buf, err
		}
		if c != '\\' {
			d.r.unread()
			break
		}
		if c, err = d.r.readByte(); err != nil {
			return buf, err
		}
		if c != 'u' {
			return d.escaped(utf8.AppendRune(buf, utf8.RuneError), c)
		}
		second, err := d.hex()
		if err != nil {
			return buf, err
		}
		if joined := utf16.DecodeRune(r, second); joined != utf8.RuneError {
			return utf8.AppendRune(buf, joined), nil
		}
		buf, r = utf8.AppendRune(buf, utf8.RuneError), second
	}
	return utf8.AppendRune(buf, r), nil // which makes a half the replacement character
}

func (d *decoder) hex() (rune, error) {
	var digits [4]byte
	for i := range digits {
		c, err := d.r.readByte()
		if err != nil {
			return 0, err
		}
		digits[i] = c
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, fmt.Errorf("escape \\u%s in a text", digits)
	}
	return rune(n), nil
}

// skip reads over a value of any kind.
func (d *decoder) skip(depth int) error {
	if depth > maxDepth {
		return errors.New("an answer nested too deep")
	}
	c, err := d.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return d.object(func(string) error { return d.skip(depth + 1) })
	case '[':
		return d.array(func() error { return d.skip(depth + 1) })
	}
	_, err = d.value(nil)
	return err
}

func (d *decoder) rest(want string) error {
	for i := range len(want) {
		if c, err := d.r.readByte(); err != nil || c != want[i] {
			return errors.Join(errors.New("a word that is none of null, true, false"), err)
		}
	}
	return nil
}

func (d *decoder) expect(want byte) error {
	c, err := d.next()
	if err == nil && c != want {
		err = fmt.Errorf("%q where %q belongs", c, want)
	}
	return err
}

// next gives the next byte that is no white space.
func (d *decoder) next() (byte, error) {
	for {
		c, err := d.r.readByte()
		if err != nil || (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
			return c, err
		}
	}
}

func (d *decoder) peek() (byte, error) {
	c, err := d.next()
	if err != nil {
		return 0, err
	}
	d.r.unread()
	return c, nil
}
