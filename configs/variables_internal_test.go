package configs

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	readme    = "../README.md"
	tableFrom = "<!-- config:begin -->\n"
	tableTo   = "<!-- config:end -->"
)

// TestVariablesAreDocumented holds variables.md, and the table in the README, against the code: names and defaults come
// from the struct tags, meanings from the fields' comments. `go generate ./configs` writes both anew.
func TestVariablesAreDocumented(t *testing.T) {
	want := variablesDoc(t)
	updating := flag.Lookup("update").Value.String() == "true"
	if updating {
		write(t, "variables.md", []byte(want))
	}
	got, err := os.ReadFile("variables.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("variables.md is out of date: run go generate ./configs")
	}
	page, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(page, []byte(tableFrom))
	table, after, ok2 := bytes.Cut(rest, []byte(tableTo))
	if !ok || !ok2 {
		t.Fatalf("the README lacks the lines %q and %q, between which the table stands", tableFrom, tableTo)
	}
	if updating {
		write(t, readme, []byte(string(before)+tableFrom+want+tableTo+string(after)))
	} else if string(table) != want {
		t.Error("the README's table of variables is out of date: run go generate ./configs")
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func variablesDoc(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	row := func(name, fallback, meaning string) {
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, fallback, strings.ReplaceAll(meaning, "|", "\\|"))
	}
	seen := map[string]bool{}
	docs := comments{}
	var walk func(v reflect.Value, section string)
	walk = func(v reflect.Value, section string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if sub, ok := strings.CutPrefix(f.Tag.Get("env"), ", prefix="); ok {
				walk(v.Field(i), section+sub)
				continue
			}
			for _, leaf := range variables(v, section) {
				key, _, _ := strings.Cut(f.Tag.Get("env"), ",")
				if strings.TrimSpace(key) != leaf.key || leaf.section != section || seen[leaf.name] {
					continue
				}
				seen[leaf.name] = true
				name := leaf.name
				if leaf.secret() {
					name += "`, `" + leaf.name + fileTwin
				}
				row(name, leaf.fallback(), docs.of(t, v.Type(), f.Name))
			}
		}
	}
	walk(reflect.ValueOf(&Settings{}).Elem(), prefix)
	walk(reflect.ValueOf(&App{}).Elem(), prefix+"<P>_")
	row("JAUGE_<PLATFORM>"+baseSuffix, "", "A gateway, or a test, in the platform's place: for Bluesky the AppView, for Mastodon every instance. "+
		"`<PLATFORM>` is the platform's name, as `jauge connect` takes it, in capitals.")
	row("JAUGE_<PLATFORM>"+versionSuffix, "", "The version of the platform's API to speak, for platforms that have versions, instead of the one that "+
		"this version of jauge was made for.")
	return b.String()
}

// comments holds the fields' comments by package, type and field.
type comments map[string]string

func (c comments) of(t *testing.T, typ reflect.Type, field string) string {
	t.Helper()
	key := func(typ, field string) string { return typ + "." + field }
	pkg := typ.PkgPath()
	if _, ok := c[pkg]; !ok {
		c[pkg] = ""
		dir := filepath.Join("..", strings.TrimPrefix(pkg, "jauge.dev/jauge"))
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				s, ok := spec.Type.(*ast.StructType)
				if !ok {
					return false
				}
				group := "" // a comment that speaks of several fields in a row
				for _, f := range s.Fields.List {
					if text := f.Doc.Text(); text != "" {
						group = text
					}
					for _, name := range f.Names {
						c[key(pkg+"."+spec.Name.Name, name.Name)] = group
					}
				}
				return false
			})
		}
	}
	text := strings.Join(strings.Fields(c[key(pkg+"."+typ.Name(), field)]), " ")
	if text == "" {
		t.Errorf("%s.%s has no comment that could stand in the documentation", typ, field)
	}
	return meaning(text, field)
}

// meaning makes a sentence of a field's comment, which begins with the field's name.
func meaning(text, field string) string {
	for _, p := range []string{field + " is ", field + " are ", field + " names ", field + " "} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			text = rest
			break
		}
	}
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
