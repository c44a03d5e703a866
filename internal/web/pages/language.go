package pages

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

//go:embed locales
var localeFiles embed.FS

// locale is one language's texts. A text may hold {names} that are filled in; a text that depends on a number has a
// twin for each form: key.one and key.other.
type locale struct {
	tag   string // "en"
	texts map[string]string
	// one tells whether a number takes the singular: 0 and 1 in French, 1 alone in English.
	one      func(n int) bool
	thousand string // stands between groups of three digits
}

// locales are the languages, the first is the one for everybody else.
type locales struct {
	all   []*locale
	match language.Matcher
}

func newLocales() (*locales, error) {
	l := &locales{all: []*locale{
		{tag: "en", one: func(n int) bool { return n == 1 }, thousand: ","},
		{tag: "fr", one: func(n int) bool { return n == 0 || n == 1 }, thousand: "\u202f"},
	}}
	tags := make([]language.Tag, len(l.all))
	for i, c := range l.all {
		b, err := fs.ReadFile(localeFiles, path.Join("locales", c.tag+".json"))
		if err != nil {
			return nil, fmt.Errorf("read texts: %w", err)
		}
		if err := json.Unmarshal(b, &c.texts); err != nil {
			return nil, fmt.Errorf("read texts of %s: %w", c.tag, err)
		}
		tags[i] = language.Make(c.tag)
	}
	l.match = language.NewMatcher(tags)
	return l, nil
}

const mostLanguages = 512 // bytes of the header that are looked at

// of finds the language that a browser prefers.
func (l *locales) of(r *http.Request) *locale {
	h := r.Header.Get("Accept-Language")
	if len(h) > mostLanguages {
		return l.all[0]
	}
	_, i := language.MatchStrings(l.match, h)
	return l.all[i]
}

// has tells whether there is a text.
func (l *locale) has(key string) bool {
	_, ok := l.texts[key]
	return ok
}

// T gives a text with its names filled in: pairs are name, value. A missing text is a mistake that tests find; a reader
// is shown the key.
func (l *locale) T(key string, pairs ...any) string {
	text, ok := l.texts[key]
	if !ok {
		return key
	}
	if len(pairs) == 0 {
		return text
	}
	with := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		with = append(with, "{"+fmt.Sprint(pairs[i])+"}", l.value(pairs[i+1]))
	}
	return strings.NewReplacer(with...).Replace(text)
}

// N gives a text that depends on a number, which is filled in as {n}.
func (l *locale) N(key string, n int, pairs ...any) string {
	form := ".other"
	if l.one(n) {
		form = ".one"
	}
	return l.T(key+form, append(pairs, "n", n)...)
}

// First gives the first of several texts that there is.
func (l *locale) First(keys ...string) string {
	for _, k := range keys {
		if l.has(k) {
			return l.texts[k]
		}
	}
	return ""
}

// Number writes a whole number in groups of three digits.
func (l *locale) Number(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + l.thousand + s[i:]
	}
	return sign + s
}

func (l *locale) value(v any) string {
	if n, ok := v.(int); ok {
		return l.Number(n)
	}
	return fmt.Sprint(v)
}
