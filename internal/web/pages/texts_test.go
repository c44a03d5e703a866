package pages_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

func texts(t *testing.T, lang string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("locales", lang+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// constants finds the values of a package's constants of some types: what is added there is then wanted here.
func constants(t *testing.T, dir string, types ...string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range ast.Preorder(f) {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				continue
			}
			typ, _ := v.Type.(*ast.Ident)
			lit, _ := v.Values[0].(*ast.BasicLit)
			if typ == nil || lit == nil || !slices.Contains(types, typ.Name) {
				continue
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out[typ.Name] = append(out[typ.Name], s)
		}
	}
	for _, typ := range types {
		if len(out[typ]) < 3 {
			t.Fatalf("%s: only %v of type %s", dir, out[typ], typ)
		}
	}
	return out
}

var name = regexp.MustCompile(`\{[a-z]+\}`)

// TestTextsAreComplete: both languages have the same texts, with the same names to fill in, and there is one for every
// state, cause and kind.
func TestTextsAreComplete(t *testing.T) {
	en, fr := texts(t, "en"), texts(t, "fr")
	for k := range maps.Keys(en) {
		if _, ok := fr[k]; !ok {
			t.Errorf("French lacks %s", k)
		}
		a, b := name.FindAllString(en[k], -1), name.FindAllString(fr[k], -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s is filled in with %v in English and %v in French", k, a, b)
		}
	}
	for k := range fr {
		if _, ok := en[k]; !ok {
			t.Errorf("English lacks %s", k)
		}
	}
	var wanted []string
	oauth := constants(t, "../../../collectors/oauth", "State", "Cause", "FlowKind")
	for _, s := range oauth["State"] {
		wanted = append(wanted, "state."+s)
		if s != "ok" {
			wanted = append(wanted, "do."+s)
		}
	}
	for _, c := range oauth["Cause"] {
		if c != "" {
			wanted = append(wanted, "cause."+c)
		}
	}
	for _, k := range append(oauth["FlowKind"], pages.ProblemNotFound, pages.ProblemFromConfig, pages.ProblemBusy) {
		wanted = append(wanted, "problem."+k+".title", "problem."+k+".what", "problem."+k+".do")
	}
	for _, s := range constants(t, "../../..", "AccountState")["AccountState"] {
		wanted = append(wanted, "account."+s)
	}
	for _, k := range []string{"sunset_version", "sunset_metric", "expiring", "parked"} {
		wanted = append(wanted, "warning."+k)
	}
	for _, k := range wanted {
		if en[k] == "" {
			t.Errorf("there is no text for %s", k)
		}
	}
}

// used finds the texts that templates and code ask for by a key that stands there whole.
var used = regexp.MustCompile(`\b(?:T|N|First)\(? ?"([a-z_.]+[a-z])"`)

func TestTextsAreUsed(t *testing.T) {
	en := texts(t, "en")
	templates, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found int
	for _, f := range append(templates, code...) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range used.FindAllStringSubmatch(string(b), -1) {
			if found++; en[m[1]] == "" && en[m[1]+".one"] == "" {
				t.Errorf("%s wants the text %s", f, m[1])
			}
		}
	}
	if found < 80 {
		t.Errorf("only %d uses of texts were found", found)
	}
}

// TestEveryProblemHasItsPage shows each kind in both languages.
func TestEveryProblemHasItsPage(t *testing.T) {
	kinds := append(constants(t, "../../../collectors/oauth", "FlowKind")["FlowKind"], pages.ProblemNotFound, pages.ProblemFromConfig, pages.ProblemBusy)
	f := pagestest.New()
	v := visit(t, server(t, open(), f, pages.Deps{}), local)
	v.begin("x", "")
	for _, lang := range []string{"en", "fr"} {
		v.header.Set("Accept-Language", lang)
		seen := map[string]string{}
		for _, k := range kinds {
			f.Fail["Complete"] = &pages.Problem{Kind: k, Platform: "x", Detail: "said <b>so</b>"}
			r := v.get("/oauth/callback?state=a&code=b")
			root := parse(t, r)
			page := text(root)
			if kind(root) != k || r.StatusCode < 400 || !strings.Contains(page, "said <b>so</b>") || !strings.Contains(render(t, root), `href="/connect/x"`) {
				t.Errorf("%s in %s gave %d: %s", k, lang, r.StatusCode, page)
			}
			_, rest, _ := strings.Cut(page, " · "+k+" ")
			if was := seen[rest]; was != "" {
				t.Errorf("%s and %s say the same", k, was)
			}
			seen[rest] = k
			checkPage(t, k+" in "+lang, root)
		}
	}
}

func TestLanguage(t *testing.T) {
	v := visit(t, server(t, open(), pagestest.New(), pages.Deps{}), local)
	for header, want := range map[string]string{
		"": "en", "fr": "fr", "fr-CH, fr;q=0.9, en;q=0.8": "fr", "de, fr;q=0.5": "fr", "de": "en", "en-GB,fr;q=0.9": "en", "*": "en", "xx;;;q=z": "en",
		strings.Repeat("fr,", 1000): "en",
	} {
		v.header.Set("Accept-Language", header)
		if got := v.get("/").Header.Get("Content-Language"); got != want {
			t.Errorf("%.20q gives %q, want %q", header, got, want)
		}
	}
}

// TestTimes: near ones are told by how far they are, and exactly in what is below.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for after, want := range map[time.Duration][2]string{
			0: {"in a moment", "dans un instant"}, -30 * time.Second: {"just now", "à l’instant"}, 61 * time.Second: {"in 1 min", "dans 1 min"},
			-59 * time.Minute: {"59 min ago", "il y a 59 min"}, 3 * time.Hour: {"in 3 h", "dans 3 h"}, -47 * time.Hour: {"47 h ago", "il y a 47 h"},
			49 * time.Hour: {"in 2 days", "dans 2 jours"}, -1234 * 24 * time.Hour: {"1,234 days ago", "il y a 1\u202f234 jours"},
		} {
			at := now.Add(after)
			f := pagestest.New().Set([]pages.Account{{Key: "x/1", State: "ok", LastSuccess: at}}, nil)
			v := visit(t, server(t, open(), f, pages.Deps{}), local)
			for i, lang := range []string{"en", "fr"} {
				v.header.Set("Accept-Language", lang)
				for n := range parse(t, v.get("/")).Descendants() {
					if n.Data == "time" && (text(n) != strings.Join(strings.Fields(want[i]), " ") || attr(n, "datetime") != at.UTC().Format(time.RFC3339)) {
						t.Errorf("%s in %s is %q (%s), want %q", after, lang, text(n), attr(n, "datetime"), want[i])
					}
					if n.Data == "time" && after == 0 && attr(n, "title") != [2]string{"1 Jan 2000, 00:00 UTC", "1 janv. 2000 à 00:00 UTC"}[i] {
						t.Errorf("exactly it is %q", attr(n, "title"))
					}
				}
			}
		}
	})
}
