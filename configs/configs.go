package configs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

//go:generate go test -run TestVariablesAreDocumented -update .

// The stores that can be chosen.
const (
	StoreSQLite = "sqlite"
	StoreInflux = "influx"
)

// DefaultFile is the file that is read where nobody named one.
const DefaultFile = "jauge.yaml"

// Config is everything that the operator set.
type Config struct {
	Settings
	File    File
	BaseURL map[jauge.Platform]string // what stands in a platform's place; absent where nothing does
	// APIVersion is the version to speak, where the operator set one.
	APIVersion map[jauge.Platform]string
	// Apps are the clients registered at the providers, by oauth.Provider.App; every provider of Source has one.
	Apps     map[string]App
	Warnings []string // what is no mistake and yet probably not meant

	variables []variable
	apps      []variable // those of Apps
	set       map[string]bool
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
	Providers []oauth.Provider // what accounts can be connected at
	// NeedFile makes a missing YAML file a mistake even where nobody named one.
	NeedFile bool
	// CheckKPI judges one of the file's KPI entries as the pipeline will; nil for no judgement.
	CheckKPI func(File, KPI) error
}

// Load reads the configuration. Its error is a Mistakes with every mistake that was found; the Config beside it holds
// what could be read nonetheless and must not be used but to show it.
func Load(ctx context.Context, src Source) (*Config, error) {
	c := &Config{BaseURL: map[jauge.Platform]string{}, APIVersion: map[jauge.Platform]string{}, Apps: map[string]App{}}
	env := &environment{vars: split(src.Environ), flags: src.Flags, readFile: src.ReadFile}
	c.variables = variables(reflect.ValueOf(&c.Settings).Elem(), prefix)
	c.set = map[string]bool{}
	for i := range c.variables {
		env.fill(ctx, &c.variables[i])
		_, c.set[c.variables[i].name] = env.lookup(c.variables[i].name)
	}
	names := src.names()
	c.baseURLs(env, slices.Sorted(maps.Keys(names)))
	c.apiVersions(env, names)
	c.readApps(ctx, env, src.Providers)
	env.address(prefix+"BLUESKY_PLC_URL", c.BlueskyPLC)
	env.unknown(c.known(names))
	c.place()
	c.access(env)
	c.vault(env)
	for _, m := range c.validate() {
		if !env.blamed(m.Variable) {
			env.mistake(m.Variable, "%s", m.Text)
		}
	}
	mistakes := append(env.mistakes, c.readFile(env, src)...)
	c.Warnings = env.warnings
	if len(mistakes) > 0 {
		return c, mistakes.sorted()
	}
	return c, nil
}

// place puts everything that has no path of its own into the data directory.
func (c *Config) place() {
	c.State.Path = c.Path("state.db")
	c.SQLite.Path = cmp.Or(c.SQLite.Path, c.Path("jauge.db"))
	c.Journal.Dir = cmp.Or(c.Journal.Dir, c.Path("journal"))
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
	if len(mistakes) == 0 && len(f.Accounts()) == 0 {
		env.warnings = append(env.warnings, path+" lists no account: those are read that are connected, on the pages or by `jauge connect`")
	}
	c.File = f
	c.Schedule.Every, c.Schedule.Ladder = f.Schedules, f.Ladder
	return mistakes
}

// known lists every variable that means something.
func (c *Config) known(platforms map[jauge.Platform]string) []string {
	var names []string
	for _, v := range slices.Concat(c.variables, c.apps) {
		names = append(names, v.name)
		if v.secret() {
			names = append(names, v.name+fileTwin)
		}
	}
	for p := range platforms {
		names = append(names, platformVariable(p, baseSuffix), platformVariable(p, versionSuffix))
	}
	slices.Sort(names)
	return names
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
	rooms := []room{
		{prefix + "VAULT_", c.Vault.Validate},
		{prefix + "HTTP_", c.HTTP.Validate},
		{prefix + "JOURNAL_", c.Journal.Validate},
		{prefix + "STATE_", c.State.Validate},
		{prefix + "SCHEDULE_", c.Schedule.Validate},
	}
	switch c.Store { // what is not used need not be right
	case StoreSQLite:
		rooms = append(rooms, room{prefix + "SQLITE_", c.SQLite.Validate})
	case StoreInflux:
		rooms = append(rooms, room{prefix + "INFLUX_", c.Influx.Validate})
	}
	return rooms
}

// named turns a room's complaint, which begins with the name of its own setting, into one about our variable. Rooms
// write the name as in their tag or in plain words ("max bytes"), with or without their own noun before it.
func (c *Config) named(section string, err error) Mistake {
	text := err.Error()
	noun := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(section, prefix), "_"))
	plain := strings.ReplaceAll(strings.ToLower(text), "_", " ")
	cut := len(plain) - len(strings.TrimPrefix(plain, noun+" "))
	var best *variable
	length := 0
	for i := range c.variables {
		v := &c.variables[i]
		key := strings.ReplaceAll(strings.ToLower(v.key), "_", " ")
		for _, k := range []string{key, strings.TrimSuffix(key, " bytes")} {
			rest, ok := strings.CutPrefix(plain[cut:], k)
			if ok && v.section == section && len(k) > length && (rest == "" || rest[0] == ' ' || rest[0] == ':') {
				best, length = v, len(k)
			}
		}
	}
	if best == nil {
		return Mistake{Variable: section + "*", Text: text}
	}
	return Mistake{Variable: best.name, Text: strings.TrimLeft(text[cut+length:], ": ")}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
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

// IsSet tells whether the operator set a variable, or the flag that stands for it.
func (c *Config) IsSet(variable string) bool { return c.set[variable] }

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

// Summary lists every setting, secrets masked, in the order of the documentation; those that there are per platform
// only where they are set.
func (c *Config) Summary() []Setting {
	out := make([]Setting, 0, len(c.variables))
	for i := range c.variables {
		v := &c.variables[i]
		if slices.ContainsFunc(out, func(s Setting) bool { return s.Variable == v.name }) {
			continue // one variable that two rooms read
		}
		out = append(out, Setting{v.name, v.shown(), v.fallback()})
	}
	for _, p := range slices.Sorted(maps.Keys(c.BaseURL)) {
		out = append(out, Setting{platformVariable(p, baseSuffix), c.BaseURL[p], ""})
	}
	for _, p := range slices.Sorted(maps.Keys(c.APIVersion)) {
		out = append(out, Setting{platformVariable(p, versionSuffix), c.APIVersion[p], ""})
	}
	for _, v := range c.apps {
		if value := v.shown(); value != "" { // of those that nobody set there are too many to show
			out = append(out, Setting{v.name, value, ""})
		}
	}
	return out
}
