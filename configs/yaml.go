package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader walks the nodes of a YAML file and collects what is wrong, each with its line.
type reader struct {
	path     string
	mistakes Mistakes
}

func (r *reader) mistake(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{File: r.path, Line: max(line, 1), Text: fmt.Sprintf(format, args...)})
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	tooBig   = 4 << 20 // bytes of a file, well above a hundred thousand accounts
)

// parse returns the root node of the one document that the file holds, nil where there is none.
func (r *reader) parse(b []byte) *yaml.Node {
	if len(b) > tooBig {
		r.mistake(1, "is larger than %d bytes: this is no configuration", tooBig)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		r.broken(err)
		return nil
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		r.mistake(more.Line, "holds a second document: keep one and remove the line ---")
	} else if !errors.Is(err, io.EOF) {
		r.broken(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// broken reports what the YAML library could not read.
func (r *reader) broken(err error) {
	m := yamlLine.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0])
	if m == nil {
		r.mistake(1, "is no YAML: %v", err)
		return
	}
	line, _ := strconv.Atoi(m[1])
	r.mistake(line, "is no YAML: %s: mind indentation, colons and quotes", m[2])
}

// deref follows an alias to the node that it stands for.
func deref(n *yaml.Node) *yaml.Node {
	for range 10 {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

// kind says in words what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a set of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "empty"
		case "!!int", "!!float":
			return "a number"
		case "!!bool":
			return "true or false"
		case "!!timestamp":
			return "a date"
		}
		return "a text"
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return "nothing that can be read here"
}

// wrong reports that a node is of another kind than wanted.
func (r *reader) wrong(n *yaml.Node, what, want string) {
	is := kind(n)
	hint := ""
	if strings.HasPrefix(want, "a text") && n.Kind == yaml.ScalarNode && is != "empty" {
		hint = ": put it in quotes"
	}
	r.mistake(n.Line, "%s must be %s, and is %s%s", what, want, is, hint)
}

// keys calls one function for each key of a mapping; other keys and repeated ones are mistakes.
func (r *reader) keys(n *yaml.Node, what string, order []string, fields map[string]func(*yaml.Node)) {
	r.each(n, what, func(key, value *yaml.Node) {
		f, ok := fields[key.Value]
		if !ok {
			r.mistake(key.Line, "unknown key %q in %s: %s", key.Value, what, didYouMean(key.Value, order))
			return
		}
		f(value)
	})
}

// each calls f for every key of a mapping whose keys are the operator's own; repeated ones are mistakes.
func (r *reader) each(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		r.wrong(n, what, "a set of keys")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), deref(n.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode:
			r.mistake(n.Content[i].Line, "a key of %s must be a word", what)
			continue
		case key.ShortTag() == "!!merge":
			r.mistake(key.Line, "%s uses the merge key <<: write the keys out", what)
			continue
		case seen[key.Value] > 0:
			r.mistake(key.Line, "key %q of %s is already set in line %d: keep one", key.Value, what, seen[key.Value])
			continue
		}
		seen[key.Value] = n.Content[i].Line
		f(key, value)
	}
}

// items calls f for every entry of a list. An empty list may be written as nothing.
func (r *reader) items(n *yaml.Node, what string, f func(*yaml.Node)) {
	n = deref(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.wrong(n, what, "a list (each entry begins with a dash)")
		return
	}
	for _, e := range n.Content {
		f(deref(e))
	}
}

func (r *reader) text(n *yaml.Node, what string) string {
	n = deref(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		r.wrong(n, what, "a text")
		return ""
	}
	s := strings.TrimSpace(n.Value)
	if s == "" {
		r.mistake(n.Line, "%s is empty", what)
	}
	return s
}

func (r *reader) flag(n *yaml.Node, what string) bool {
	n = deref(n)
	var b bool
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&b) != nil {
		r.wrong(n, what, "true or false")
	}
	return b
}

func (r *reader) number(n *yaml.Node, what string) float64 {
	n = deref(n)
	var f float64
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") || n.Decode(&f) != nil {
		r.wrong(n, what, "a number")
	}
	return f
}

// duration reads a stretch of time above 0: as Go writes it, or whole days (90d) or weeks (2w).
func (r *reader) duration(n *yaml.Node, what string) time.Duration {
	n = deref(n)
	if n.Kind != yaml.ScalarNode {
		r.wrong(n, what, "a duration such as 30m, 6h, 90d or 2w")
		return 0
	}
	d, err := ParseDuration(n.Value)
	if err != nil {
		r.mistake(n.Line, "%s: %v", what, err)
		return 0
	}
	return d
}

const day = 24 * time.Hour

// ParseDuration reads a stretch of time above 0: as Go writes it (90s, 30m, 6h), or whole days (90d) or weeks (2w).
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	bad := fmt.Errorf("%q is no duration above 0: write it as 30m, 6h, 90d or 2w", s)
	unit := time.Duration(0)
	if strings.HasSuffix(s, "d") {
		unit = day
	} else if strings.HasSuffix(s, "w") {
		unit = 7 * day
	}
	if unit == 0 {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return 0, bad
		}
		return d, nil
	}
	const longest = 36525 // days, a century
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n <= 0 || n > longest {
		return 0, bad
	}
	return time.Duration(n) * unit, nil
}
