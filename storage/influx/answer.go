package influx

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The answers of /query are decoded by hand: a row is some thirty cells, most of them null, and the reflection of a
// general decoder would cost more than everything else in a read. One chunk of an answer is
//
//	{"results":[{"statement_id":0,"series":[{"name":…,"tags":{…},"columns":[…],"values":[[…],…],"partial":true}]}]}
//
// and an answer is a sequence of them.

// cell is one value of a row.
type cell struct {
	kind cellKind
	text []byte // of a string: unescaped; valid until the next row
}

type cellKind byte

const (
	cellNull   cellKind = 'n'
	cellString cellKind = 's'
	cellNumber cellKind = '0'
	cellTrue   cellKind = 't'
	cellFalse  cellKind = 'f'
)

// sink takes what an answer holds. Every function may be nil.
type sink struct {
	statement func(id int)
	series    func(tags map[string]string, columns []string) error
	row       func(cells []cell) (more bool, err error)
}

// errEnough ends the decoding because the sink wants no more.
var errEnough = errors.New("enough rows")

// serverError is what a statement's answer says instead of rows.
type serverError string

func (e serverError) Error() string { return string(e) }

type decoder struct {
	r     *source
	sink  sink
	cells []cell
	arena []byte // the texts of the cells of a row, one after the other
	tags  map[string]string
	cols  []string
}

// decode reads an answer to its end, or until the sink wants no more.
func decode(r io.Reader, to sink) error {
	d := &decoder{r: newSource(r), sink: to}
	for {
		c, err := d.peek()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c != '{' {
			return fmt.Errorf("answer begins with %q, want an object", c)
		}
		if err := d.object(d.top); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

func (d *decoder) top(key string) error {
	switch key {
	case "results":
		return d.array(func() error { return d.object(d.result) })
	case "error":
		return d.failure()
	}
	return d.skip(0)
}

func (d *decoder) result(key string) error {
	switch key {
	case "statement_id":
		c, err := d.value(nil)
		if err != nil {
			return err
		}
		id, err := strconv.Atoi(string(c.text))
		if err != nil {
			return fmt.Errorf("statement_id: %w", err)
		}
		if d.sink.statement != nil {
			d.sink.statement(id)
		}
		return nil
	case "series":
		return d.array(func() error {
			d.tags, d.cols = nil, nil
			return d.object(d.series)
		})
	case "error":
		return d.failure()
	}
	return d.skip(0)
}

func (d *decoder) failure() error {
	c, err := d.value(nil)
	if err != nil {
		return err
	}
	return serverError(c.text)
}

func (d *decoder) series(key string) error {
	switch key {
	case "tags":
		d.tags = map[string]string{}
		return d.object(func(name string) error {
			c, err := d.value(nil)
			d.tags[name] = string(c.text)
			return err
		})
	case "columns":
		return d.array(func() error {
			c, err := d.value(nil)
			d.cols = append(d.cols, string(c.text))
			return err
		})
	case "values":
		if d.sink.series != nil {
			if err := d.sink.series(d.tags, d.cols); err != nil {
				return err
			}
		}
		return d.array(d.row)
	}
	return d.skip(0)
}

func (d *decoder) row() error {
	d.cells, d.arena = d.cells[:0], d.arena[:0]
	err := d.array(func() error {
		from := len(d.arena)
		c, err := d.value(d.arena)
		if c.text != nil {
			d.arena = c.text
			c.text = c.text[from:len(c.text):len(c.text)]
		}
		d.cells = append(d.cells, c)
		return err
	})
	if err != nil || d.sink.row == nil {
		return err
	}
	more, err := d.sink.row(d.cells)
	if err == nil && !more {
		err = errEnough
	}
	return err
}
