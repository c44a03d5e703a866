package configs

import (
	"context"
	"encoding"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"jauge.dev/jauge"
)

const (
	prefix     = "JAUGE_"
	fileTwin   = "_FILE"
	exempt     = prefix + "TEST" // variables of tests
	baseSuffix = "_BASE_URL"
)

var (
	secretType   = reflect.TypeFor[jauge.Secret]()
	netsType     = reflect.TypeFor[[]netip.Prefix]()
	durationType = reflect.TypeFor[time.Duration]()
)

// renamed gives the variables whose contract name differs from the one that their place in Settings would give.
var renamed = map[string]string{ //nolint:gosec // names, no secrets
	"JAUGE_HTTP_CONTACT":             "JAUGE_CONTACT",
	"JAUGE_HTTP_ALLOW_NETS":          "JAUGE_ALLOW_NETS",
	"JAUGE_JOURNAL_URL":              "JAUGE_NATS_URL",
	"JAUGE_JOURNAL_CREDENTIALS_FILE": "JAUGE_NATS_CREDENTIALS_FILE",
	"JAUGE_SQLITE_HISTORY_RETENTION": "JAUGE_HISTORY_RETENTION",
	"JAUGE_INFLUX_HISTORY_RETENTION": "JAUGE_HISTORY_RETENTION",
}

// variable is one setting: a leaf of Settings.
type variable struct {
	name    string // JAUGE_HTTP_ATTEMPTS
	section string // JAUGE_HTTP_: the prefix of the room's Config
	key     string // ATTEMPTS: the name inside the room's Config
	options string // what follows the key in the env tag: "default=5"
	value   reflect.Value
}

func (v *variable) secret() bool { return v.value.Type() == secretType }

// Default returns what the setting is where nobody sets it.
func (v *variable) fallback() string {
	for o := range strings.SplitSeq(v.options, ",") {
		if d, ok := strings.CutPrefix(strings.TrimSpace(o), "default="); ok {
			return d
		}
	}
	return ""
}

// shown returns the value as it may be shown: a secret masked, a list as it would be written.
func (v *variable) shown() string {
	if nets, ok := reflect.TypeAssert[[]netip.Prefix](v.value); ok {
		return Nets(nets).String()
	}
	return fmt.Sprint(v.value.Interface())
}

// variables lists the leaves of a settings struct in its order.
func variables(v reflect.Value, section string) []variable {
	var out []variable
	for i := range v.NumField() {
		tag, ok := v.Type().Field(i).Tag.Lookup("env")
		if !ok {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		key, options = strings.TrimSpace(key), strings.TrimSpace(options)
		if key == "" {
			sub, _ := strings.CutPrefix(options, "prefix=")
			out = append(out, variables(v.Field(i), section+sub)...)
			continue
		}
		name := section + key
		if r, ok := renamed[name]; ok {
			name = r
		}
		out = append(out, variable{name: name, section: section, key: key, options: options, value: v.Field(i)})
	}
	return out
}

// environment is what the process was given: variables, and flags that beat them.
type environment struct {
	vars     map[string]string
	flags    map[string]Flag // by variable
	readFile func(string) ([]byte, error)
	mistakes Mistakes
	warnings []string
}

func (e *environment) mistake(name, format string, args ...any) {
	if f, ok := e.flags[name]; ok {
		name = "--" + f.Name
	}
	e.mistakes = append(e.mistakes, Mistake{Variable: name, Text: fmt.Sprintf(format, args...)})
}

// blamed tells whether a setting has a mistake already: then what it holds is not what the operator wrote.
func (e *environment) blamed(name string) bool {
	if f, ok := e.flags[name]; ok {
		name = "--" + f.Name
	}
	return slices.ContainsFunc(e.mistakes, func(m Mistake) bool { return m.Variable == name })
}

// lookup finds a variable's text. An empty variable counts as not set: that is what a compose file makes of a
// variable that its own environment lacks.
func (e *environment) lookup(name string) (string, bool) {
	if f, ok := e.flags[name]; ok {
		return f.Value, true
	}
	s := e.vars[name]
	return s, s != ""
}

// fill sets one setting from the environment or from its default.
func (e *environment) fill(ctx context.Context, v *variable) {
	text, ok := e.lookup(v.name)
	if v.secret() {
		text, ok = e.secret(v.name, text, ok)
	}
	look := envconfig.LookuperFunc(func(string) (string, bool) { return text, ok })
	tag := v.name
	if v.options != "" {
		tag += ", " + v.options
	}
	leaf := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "V", Type: v.value.Type(), Tag: reflect.StructTag(fmt.Sprintf("env:%q", tag)),
	}}))
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: leaf.Interface(), Lookuper: look}); err != nil {
		e.mistake(v.name, "%s", unreadable(v, text, err))
		return
	}
	v.value.Set(leaf.Elem().Field(0))
}

// unreadable says why a text is no value of the setting's type.
func unreadable(v *variable, text string, err error) string {
	t := v.value.Type()
	switch {
	case t == secretType:
		return "cannot be read"
	case t == durationType:
		return fmt.Sprintf("%q is no duration: write it as 30s, 5m or 24h", text)
	case t == netsType:
		return fmt.Sprintf("%q holds what is no network: write each as 10.1.2.0/24, apart by commas", text)
	case t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()),
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return fmt.Sprintf("%q cannot be read: %s", text, innermost(err))
	}
	switch t.Kind() { //nolint:exhaustive // the kinds that settings have
	case reflect.Bool:
		return fmt.Sprintf("%q is neither true nor false", text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("%q is no whole number", text)
	case reflect.Float32, reflect.Float64:
		return fmt.Sprintf("%q is no number", text)
	}
	return fmt.Sprintf("%q cannot be read: %s", text, innermost(err))
}

func innermost(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err
		}
		err = u.Unwrap()
	}
}

// secret takes a secret from its variable or from the file that its _FILE twin names.
func (e *environment) secret(name, text string, ok bool) (string, bool) {
	path := e.vars[name+fileTwin]
	if path == "" {
		return text, ok
	}
	if ok {
		e.mistake(name, "is set, and so is %s: keep one of them", name+fileTwin)
		return text, ok
	}
	b, err := e.readFile(path)
	if err != nil {
		e.mistake(name+fileTwin, "cannot be read: %v: name a file that this user may read", err)
		return "", false
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" {
		e.mistake(name+fileTwin, "the file %s is empty: write the secret into it", path)
		return "", false
	}
	return s, true
}

// unknown looks for variables that bear our prefix and mean nothing: a near-miss of a known name is a mistake, since
// nothing else would tell of it; anything else is a warning, since another program may share the prefix.
func (e *environment) unknown(known []string) {
	for _, name := range slices.Sorted(maps.Keys(e.vars)) {
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(name, exempt) || slices.Contains(known, name) || e.vars[name] == "" {
			continue
		}
		if n := nearest(name, known); n != "" {
			e.mistake(name, "is no variable of jauge: did you mean %s?", n)
			continue
		}
		e.warnings = append(e.warnings, name+" is no variable of jauge and means nothing")
	}
}

// split takes apart what os.Environ gives.
func split(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}
