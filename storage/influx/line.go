package influx

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"jauge.dev/jauge"
)

// template holds the constant parts of a measurement's lines.
type template struct {
	measurement string
	tags        []tagPart // by name, for the server sorts them otherwise
	fields      []string  // "likes=" for each of Schema.Columns
}

type tagPart struct {
	prefix string // ",account="
	index  int    // in Schema.Tags
}

// liner writes lines. Rows of one series mostly stand close together, so the head of the last line of each
// measurement is kept.
type liner struct {
	templates map[*jauge.Schema]*template
	heads     map[*jauge.Schema]*head
}

// head is the beginning of a line: measurement and tags.
type head struct {
	*template
	tags []string
	text []byte
}

func newLiner(templates map[*jauge.Schema]*template) *liner {
	return &liner{templates: templates, heads: make(map[*jauge.Schema]*head, len(templates))}
}

// appendLine writes a record as one line of line protocol, with its line break. The record is valid.
func (l *liner) appendLine(b []byte, r *jauge.Record) []byte {
	h := l.heads[r.Schema]
	if h == nil {
		h = &head{template: l.templates[r.Schema]}
		l.heads[r.Schema] = h
	}
	if !slices.Equal(h.tags, r.Tags) {
		h.tags = r.Tags
		h.text = h.appendHead(h.text[:0], r.Tags)
	}
	b = append(b, h.text...)
	sep := byte(' ')
	for i := range r.Values {
		v := &r.Values[i]
		b = append(b, sep)
		b = append(b, h.fields[v.Col]...)
		b = appendField(b, r.Schema.Columns[v.Col].Type, v)
		sep = ','
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.Time, 10)
	return append(b, '\n')
}

func (t *template) appendHead(b []byte, tags []string) []byte {
	b = append(b, t.measurement...)
	for _, p := range t.tags {
		b = append(b, p.prefix...)
		if tag := tags[p.index]; plain(tag) {
			b = append(b, tag...)
		} else {
			b = appendName(b, tagText(tag), ",= ")
		}
	}
	return b
}

// templates are made once per store; the catalogue's names need no escaping, but get it.
func newTemplates() map[*jauge.Schema]*template {
	out := map[*jauge.Schema]*template{}
	for _, s := range jauge.Schemas() {
		t := &template{measurement: string(appendName(nil, string(s.Measurement), ", "))}
		for i, name := range s.Tags {
			t.tags = append(t.tags, tagPart{"," + string(appendName(nil, name, ",= ")) + "=", i})
		}
		slices.SortFunc(t.tags, func(a, b tagPart) int { return cmp.Compare(a.prefix, b.prefix) })
		for _, c := range s.Columns {
			t.fields = append(t.fields, string(appendName(nil, c.Name, ",= "))+"=")
		}
		out[s] = t
	}
	return out
}

func appendField(b []byte, t jauge.ColumnType, v *jauge.Value) []byte {
	switch t {
	case jauge.Float:
		return appendFloat(b, v.Float())
	case jauge.Instant, jauge.Integer:
		return append(strconv.AppendInt(b, v.Int(), 10), 'i')
	case jauge.Text:
		return appendText(b, v.Str)
	case jauge.Flag:
		return strconv.AppendBool(b, v.Bool())
	}
	return b
}

// appendFloat writes the shortest text that reads back as the same number. Counters are whole, and whole numbers are
// five times faster to write as such.
func appendFloat(b []byte, f float64) []byte {
	const exact = 1 << 53
	if f == math.Trunc(f) && f > -exact && f < exact {
		return strconv.AppendInt(b, int64(f), 10)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// appendText writes a string field; within its quotes only quotes and backslashes are special, a line break is not.
func appendText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = append(b, '"')
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 { // nearly always, and much faster than both at once
		b = append(b, s...)
	} else {
		b = appendName(b, s, `"\`)
	}
	return append(b, '"')
}

// appendName writes a text with a backslash before each special character.
func appendName(b []byte, s, special string) []byte {
	for {
		i := strings.IndexAny(s, special)
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		b = append(b, '\\', s[i])
		s = s[i+1:]
	}
}

// plain tells whether a tag's value can be written as it is, which nearly all can.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == ',' || c == '=' || c == '\\' {
			return false
		}
	}
	return true
}

// tagText gives a tag's value as line protocol can tell it: a control character (a line break above all) becomes a
// space, and a backslash at the end, which would swallow the separator after it, a slash. Reads and deletes look for
// the same text.
func tagText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		s = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, s)
	}
	if cut := strings.TrimRight(s, `\`); len(cut) < len(s) {
		s = cut + strings.Repeat("/", len(s)-len(cut))
	}
	return s
}
