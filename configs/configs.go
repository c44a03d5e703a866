package configs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/rest"
)

//go:generate go test -run TestVariablesAreDocumented -update .

// The stores that can be chosen.
const (
	StoreSQLite = "sqlite"
	StoreInflux = "influx"
)

// DefaultFile is the file that is read where nobody named one.
const DefaultFile = "jauge.yaml"

// Settings are what the environment says: one field, or one room's Config, for each variable.
type Settings struct {
	// ConfigFile is the YAML file with brands, accounts, KPIs and schedules (flag --config).
	ConfigFile string `env:"CONFIG, default=jauge.yaml"`
	// DataDir is the directory for all that jauge keeps on disk; one process owns it at a time (flag --data-dir).
	DataDir string `env:"DATA_DIR, default=./data"`
	// Listen is the address of /metrics, /healthz and /readyz (flag --listen).
	Listen string `env:"LISTEN, default=127.0.0.1:8080"`
	// Store is where records and KPIs go: sqlite (a file in the data directory) or influx (flag --store).
	Store string `env:"STORE, default=sqlite"`
	// Log is how the log is written.
	Log Log `env:", prefix=LOG_"`
	// HTTP is how the platforms are called.
	HTTP rest.Config `env:", prefix=HTTP_"`
}

// Log says how the log is written.
type Log struct {
	// Level is the least level that is written: debug, info, warn or error (flag --log-level).
	Level string `env:"LEVEL, default=info"`
	// Format is json or text; auto is text on a terminal, else json (flag --log-format).
	Format string `env:"FORMAT, default=auto"`
}

// Config is everything that the operator set.
type Config struct {
	Settings
	File     File
	BaseURL  map[jauge.Platform]string // what stands in a platform's place; absent where nothing does
	Warnings []string                  // what is no mistake and yet probably not meant

	variables []variable
}

// Flag is a setting that was given on the command line.
type Flag struct {
	Name  string // without dashes: data-dir
	Value string
}

// Source is all that a configuration is made from.
type Source struct {
	Environ   []string        // as os.Environ gives it
	Flags     map[string]Flag // by the variable that the flag stands for
	ReadFile  func(string) ([]byte, error)
	Platforms []collectors.Platform
	// NeedFile makes a missing YAML file a mistake even where nobody named one.
	NeedFile bool
	// CheckKPIs judges the file's KPI entries as the pipeline will, nil for no judgement; the error speaks of one.
	CheckKPI func(File, KPI) error
}

// Load reads the configuration. Its error is a Mistakes with every mistake that was found; the Config beside it holds
// what could be read nonetheless and must not be used but to show it.
func Load(ctx context.Context, src Source) (*Config, error) {
	c := &Config{BaseURL: map[jauge.Platform]string{}}
	env := &environment{vars: split(src.Environ), flags: src.Flags, readFile: src.ReadFile}
	c.variables = variables(reflect.ValueOf(&c.Settings).Elem(), prefix)
	for i := range c.variables {
		env.fill(ctx, &c.variables[i])
	}
	c.baseURLs(env, src.Platforms)
	env.unknown(c.known(src.Platforms))
	for _, m := range c.validate() {
		if !env.blamed(m.Variable) {
			env.mistake(m.Variable, "%s", m.Text)
		}
	}
	c.Warnings = env.warnings
	mistakes := append(env.mistakes, c.readFile(env, src)...)
	if len(mistakes) > 0 {
		return c, mistakes.sorted()
	}
	return c, nil
}

// readFile reads the YAML file into c.File.
func (c *Config) readFile(env *environment, src Source) Mistakes {
	path := c.ConfigFile
	_, named := env.lookup(prefix + "CONFIG")
	if path == "" {
		return nil
	}
	b, err := src.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named && !src.NeedFile:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return Mistakes{{File: path, Text: "there is no such file: name your configuration with --config or JAUGE_CONFIG"}}
	case err != nil:
		return Mistakes{{File: path, Text: fmt.Sprintf("cannot be read: %v", err)}}
	}
	f, mistakes := ReadFile(path, b, src.Platforms, src.CheckKPI)
	c.File = f
	return mistakes
}

// known lists every variable that means something.
func (c *Config) known(platforms []collectors.Platform) []string {
	var names []string
	for i := range c.variables {
		v := &c.variables[i]
		names = append(names, v.name)
		if v.secret() {
			names = append(names, v.name+fileTwin)
		}
	}
	for _, p := range platforms {
		names = append(names, baseVariable(p.Name))
	}
	return names
}

func baseVariable(p jauge.Platform) string { return prefix + strings.ToUpper(string(p)) + baseSuffix }

// baseURLs reads JAUGE_<PLATFORM>_BASE_URL.
func (c *Config) baseURLs(env *environment, platforms []collectors.Platform) {
	for _, p := range platforms {
		name := baseVariable(p.Name)
		text, ok := env.lookup(name)
		if !ok {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.User != nil {
			env.mistake(name, "is no address of a server: write it as https://host or http://host:port/path, without user or query")
			continue
		}
		c.BaseURL[p.Name] = strings.TrimRight(text, "/")
	}
}

// validate asks each part for what cannot work.
func (c *Config) validate() Mistakes {
	var ms Mistakes
	oneOf := func(name, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			ms = append(ms, Mistake{Variable: name, Text: fmt.Sprintf("is %q: choose one of %s", value, strings.Join(allowed, ", "))})
		}
	}
	oneOf("JAUGE_STORE", c.Store, StoreSQLite, StoreInflux)
	oneOf("JAUGE_LOG_LEVEL", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("JAUGE_LOG_FORMAT", c.Log.Format, "auto", "json", "text")
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		ms = append(ms, Mistake{Variable: "JAUGE_LISTEN", Text: fmt.Sprintf("%q is no address: write it as 127.0.0.1:8080", c.Listen)})
	}
	for _, r := range c.rooms() {
		for _, err := range flatten(r.validate()) {
			ms = append(ms, c.named(r.section, err))
		}
	}
	return ms
}

// room is the Config of one package, as composed.
type room struct {
	section  string
	validate func() error
}

func (c *Config) rooms() []room {
	return []room{
		{prefix + "HTTP_", c.HTTP.Validate},
	}
}

// named turns a room's complaint, which begins with the name of its own setting, into one about our variable.
func (c *Config) named(section string, err error) Mistake {
	text := err.Error()
	key, rest, _ := strings.Cut(text, " ")
	for i := range c.variables {
		if v := &c.variables[i]; v.section == section && v.key == strings.TrimSuffix(key, ":") {
			return Mistake{Variable: v.name, Text: rest}
		}
	}
	return Mistake{Variable: section + "*", Text: text}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // takes the join itself apart
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

// LogLevel returns the least level that is written.
func (c *Config) LogLevel() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// Path returns the path of something in the data directory.
func (c *Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.DataDir}, elem...)...)
}

// Setting is one variable with its value as it may be shown.
type Setting struct {
	Variable string
	Value    string // a secret is masked
	Default  string
}

// Summary lists every setting, secrets masked, in the order of the documentation.
func (c *Config) Summary() []Setting {
	out := make([]Setting, 0, len(c.variables))
	for i := range c.variables {
		v := &c.variables[i]
		out = append(out, Setting{v.name, fmt.Sprint(v.value.Interface()), v.fallback()})
	}
	for _, p := range slices.Sorted(maps.Keys(c.BaseURL)) {
		out = append(out, Setting{baseVariable(p), c.BaseURL[p], ""})
	}
	return out
}
