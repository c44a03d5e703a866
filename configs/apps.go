package configs

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

const versionSuffix = "_API_VERSION"

// App is the client that was registered at a provider, and what stands in the provider's place.
type App struct {
	// ClientID is the id of the client that was registered at the provider `<P>`: FACEBOOK (also Instagram by Facebook
	// Login), INSTAGRAM, THREADS, LINKEDIN, X, TIKTOK, TIKTOK_BUSINESS, GOOGLE, PINTEREST, BLUESKY or MASTODON; the last two
	// need none.
	ClientID string `env:"CLIENT_ID"`
	// ClientSecret is the client's secret. Providers that know public clients do without.
	ClientSecret jauge.Secret `env:"CLIENT_SECRET"`
	// Scopes are what is asked for instead of the least that the collectors need, apart by commas or blanks.
	Scopes Scopes `env:"SCOPES"`
	// AuthURL is where browsers are sent to consent, instead of the platform's own address.
	AuthURL string `env:"AUTH_URL"`
	// TokenURL is where codes and refresh tokens are exchanged, instead of the platform's own address.
	TokenURL string `env:"TOKEN_URL"`
	// RevokeURL is where tokens are ended, instead of the platform's own address.
	RevokeURL string `env:"REVOKE_URL"`
}

// Scopes are words apart by commas or blanks.
type Scopes []string

// UnmarshalText reads the words.
func (s *Scopes) UnmarshalText(text []byte) error {
	*s = words(string(text))
	return nil
}

// String writes the words as they are read.
func (s Scopes) String() string { return strings.Join(s, ",") }

// OAuth returns the client as the vault takes it.
func (a App) OAuth() oauth.App { return oauth.App{ClientID: a.ClientID, ClientSecret: a.ClientSecret} }

// OAuthApps returns the clients by the names of the providers.
func (c *Config) OAuthApps(providers []oauth.Provider) map[string]oauth.App {
	out := make(map[string]oauth.App, len(providers))
	for _, p := range providers {
		out[p.Name] = c.Apps[p.App].OAuth()
	}
	return out
}

// Providers returns copies of the providers with the operator's endpoints, scopes, API root and version applied, and the
// version put where "{version}" stood in an address.
func (c *Config) Providers(providers []oauth.Provider) []*oauth.Provider {
	out := make([]*oauth.Provider, len(providers))
	for i, p := range providers {
		out[i] = c.provider(p)
	}
	return out
}

func (c *Config) provider(p oauth.Provider) *oauth.Provider {
	app, name := c.Apps[p.App], providerPlatform(p)
	set := func(to *string, value string) {
		if value != "" {
			*to = value
		}
	}
	set(&p.Endpoints.Authorize, app.AuthURL)
	set(&p.Endpoints.Token, app.TokenURL)
	set(&p.Endpoints.Revoke, app.RevokeURL)
	set(&p.API.Version, c.APIVersion[name])
	for _, address := range []*string{&p.Endpoints.Authorize, &p.Endpoints.Token, &p.Endpoints.Revoke, &p.Base} {
		*address = strings.ReplaceAll(*address, "{version}", p.API.Version)
	}
	set(&p.Base, instead(p.Base, c.BaseURL[name]))
	p.Scopes = slices.Clone(p.Scopes)
	if len(app.Scopes) > 0 {
		p.Scopes = slices.Clone(app.Scopes)
	}
	return &p
}

// instead is the API root that the operator set in the place of a platform's own: what is set stands for the platform's
// host, so the path of the own root follows it, unless it is there already.
func instead(own, set string) string {
	u, err := url.Parse(own)
	set = strings.TrimRight(set, "/")
	if set == "" || err != nil || strings.HasSuffix(set, u.Path) {
		return set
	}
	return set + u.Path
}

// Platform returns a platform with the operator's API version applied.
func (c *Config) Platform(p collectors.Platform) collectors.Platform {
	if v := c.APIVersion[p.Name]; v != "" {
		p.API.Version = v
	}
	return p
}

// providerPlatform is the name that a provider has in JAUGE_<PLATFORM>_BASE_URL: its own, so that TikTok's two APIs can
// be replaced one by one.
func providerPlatform(p oauth.Provider) jauge.Platform {
	return jauge.Platform(strings.ReplaceAll(p.Name, "-", "_"))
}

// names lists the platforms that a base URL can be set for, and the version that each speaks unless another is set,
// "" where its API has none.
func (s Source) names() map[jauge.Platform]string {
	out := map[jauge.Platform]string{}
	add := func(name jauge.Platform, version string) {
		if out[name] == "" {
			out[name] = version
		}
	}
	for _, p := range s.Platforms {
		add(p.Name, p.API.Version)
	}
	for _, p := range s.Providers {
		add(providerPlatform(p), p.API.Version)
		for _, opens := range p.Platforms {
			add(opens, "")
		}
	}
	return out
}

func platformVariable(p jauge.Platform, suffix string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(string(p), "-", "_")) + suffix
}

// readApps fills Apps.
func (c *Config) readApps(ctx context.Context, env *environment, providers []oauth.Provider) {
	for _, p := range providers {
		if _, ok := c.Apps[p.App]; ok {
			continue
		}
		var app App
		vars := variables(reflect.ValueOf(&app).Elem(), prefix+p.App+"_")
		for i := range vars {
			env.fill(ctx, &vars[i])
			_, c.set[vars[i].name] = env.lookup(vars[i].name)
		}
		c.apps = append(c.apps, vars...)
		app.validate(env, prefix+p.App+"_")
		c.Apps[p.App] = app
	}
}

// validate judges a client's settings.
func (a App) validate(env *environment, section string) {
	if a.ClientID == "" && a.ClientSecret != "" && !env.blamed(section+"CLIENT_ID") {
		env.mistake(section+"CLIENT_ID", "is missing beside %sCLIENT_SECRET: set it to the id that the provider gave with the secret", section)
	}
	for _, v := range []struct{ key, value string }{
		{"AUTH_URL", a.AuthURL}, {"TOKEN_URL", a.TokenURL}, {"REVOKE_URL", a.RevokeURL},
	} {
		env.address(section+v.key, v.value)
	}
}

// address judges the address of an endpoint, empty for none, and warns where it carries secrets in the clear.
func (e *environment) address(name, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Fragment != "" || u.User != nil {
		e.mistake(name, "is no address of an endpoint: write it as https://host/path, without user or fragment")
		return
	}
	e.clear(name, u)
}

// clear warns of an address beyond this machine that is not https.
func (e *environment) clear(name string, u *url.URL) {
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		e.warnings = append(e.warnings, name+" is not https: tokens and secrets go there in the clear")
	}
}

// baseURLs reads JAUGE_<PLATFORM>_BASE_URL.
func (c *Config) baseURLs(env *environment, names []jauge.Platform) {
	for _, p := range names {
		name := platformVariable(p, baseSuffix)
		text, ok := env.lookup(name)
		if !ok {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.User != nil {
			env.mistake(name, "is no address of a server: write it as https://host or http://host:port/path, without user or query")
			continue
		}
		env.clear(name, u)
		c.BaseURL[p] = strings.TrimRight(text, "/")
	}
}

var (
	versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
	digits      = regexp.MustCompile(`[0-9]+`)
)

// apiVersions reads JAUGE_<PLATFORM>_API_VERSION.
func (c *Config) apiVersions(env *environment, names map[jauge.Platform]string) {
	for _, p := range slices.Sorted(maps.Keys(names)) {
		name, ours := platformVariable(p, versionSuffix), names[p]
		text, ok := env.lookup(name)
		switch {
		case !ok:
			continue
		case ours == "":
			env.warnings = append(env.warnings, name+" means nothing: no version of this platform's API is chosen by jauge")
			continue
		}
		if !versionForm.MatchString(text) {
			env.mistake(name, "%q is no version: write it like the one that is spoken by default, %s", text, ours)
			continue
		}
		if digits.ReplaceAllString(text, "0") != digits.ReplaceAllString(ours, "0") {
			env.warnings = append(env.warnings, fmt.Sprintf("%s is %q, which does not look like this platform's versions: %s", name, text, ours))
		}
		c.APIVersion[p] = text
	}
}

// Vaulted tells whether grants can be kept: a cluster's replicas need a key that they share, which only the operator can
// give them.
func (c *Config) Vaulted() bool { return c.Journal.URL == "" || c.Vault.Key != "" }

// vault judges whether there is a key where one cannot be made: on a cluster it must be the same for all replicas. It is
// a mistake where clients are registered, since somebody means to connect accounts; else a warning, so that a cluster
// that reads public accounts alone runs on as before.
func (c *Config) vault(env *environment) {
	const keyVar = prefix + "VAULT_KEY"
	if c.Vaulted() || env.blamed(keyVar) || env.blamed(keyVar+fileTwin) {
		return
	}
	const what = "is missing: with an external NATS no key is made, since all replicas must have the same one; make one by " +
		"`jauge vault key` and set it on each"
	for _, p := range slices.Sorted(maps.Keys(c.Apps)) {
		if c.Apps[p].ClientID != "" {
			env.mistake(keyVar, what)
			return
		}
	}
	env.warnings = append(env.warnings, keyVar+" "+what+"; until then no account can be connected")
}
