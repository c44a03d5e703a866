package mastodon

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"jauge.dev/jauge"
)

// excerpt is the beginning of a post's text: HTML without its tags, entities decoded, runs of white space as one
// blank, at most jauge.ExcerptRunes runes.
func excerpt(content string) string {
	b := textBuilder{left: jauge.ExcerptRunes}
	z := html.NewTokenizer(strings.NewReader(content))
	for b.left > 0 {
		switch z.Next() {
		case html.ErrorToken: // the end: a string does not fail
			return b.out.String()
		case html.TextToken:
			b.add(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch tag := atom.Lookup(name); {
			case tag == atom.Script || tag == atom.Style:
				z.Next() // their raw text, which nobody reads
			case breaksLine(tag):
				b.gap = true
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			b.gap = b.gap || breaksLine(atom.Lookup(name))
		case html.CommentToken, html.DoctypeToken:
		}
	}
	return b.out.String()
}

// breaksLine tells whether a tag ends a line, so that the words around it stand apart.
func breaksLine(tag atom.Atom) bool {
	switch tag {
	case atom.P, atom.Br, atom.Div, atom.Li, atom.Ul, atom.Ol, atom.Blockquote, atom.Pre,
		atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return true
	}
	return false
}

type textBuilder struct {
	out  strings.Builder
	left int
	gap  bool // a blank is due before the next word
}

func (b *textBuilder) add(s string) {
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			b.gap = true
			continue
		case unicode.IsControl(r):
			continue
		}
		if b.gap && b.out.Len() > 0 {
			if b.left < 2 { // no room for a blank and a rune
				b.left = 0
				return
			}
			b.out.WriteByte(' ')
			b.left--
		}
		b.gap = false
		b.out.WriteRune(r)
		if b.left--; b.left == 0 {
			return
		}
	}
}
