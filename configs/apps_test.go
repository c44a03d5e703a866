package configs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/configs"
)

func providers() []oauth.Provider {
	return []oauth.Provider{
		{
			Name: "facebook", App: "FACEBOOK", Platforms: []jauge.Platform{jauge.Facebook, jauge.Instagram}, Base: "https://graph.example",
			API: collectors.API{Version: "v24.0"}, Scopes: []string{"least"},
			Endpoints: oauth.Endpoints{Authorize: "https://a.example", Token: "https://t.example", Revoke: "https://r.example"},
		},
		{Name: "tiktok", App: "TIKTOK", Platforms: []jauge.Platform{jauge.TikTok}, Base: "https://open.example"},
		{Name: "tiktok-business", App: "TIKTOK_BUSINESS", Platforms: []jauge.Platform{jauge.TikTok}, API: collectors.API{Version: "v1.3"}, Base: "https://b.example/{version}"},
		{
			Name: "youtube", App: "GOOGLE", Platforms: []jauge.Platform{jauge.YouTube}, API: collectors.API{Version: "v3"},
			Endpoints: oauth.Endpoints{Token: "https://t.example/{version}/token"},
		},
	}
}

func loadApps(t *testing.T, environ ...string) (*configs.Config, configs.Mistakes) {
	t.Helper()
	return loadFrom(t, configs.Source{Environ: environ, ReadFile: noFile, Platforms: platforms(), Providers: providers()})
}

func TestAppsAreAppliedToProviders(t *testing.T) {
	c, ms := loadApps(t,
		"JAUGE_FACEBOOK_CLIENT_ID=id", "JAUGE_FACEBOOK_CLIENT_SECRET=s3cret", "JAUGE_FACEBOOK_SCOPES=one, two three",
		"JAUGE_FACEBOOK_AUTH_URL=https://gateway.example/a?x=1", "JAUGE_FACEBOOK_TOKEN_URL=http://127.0.0.1:1/t",
		"JAUGE_FACEBOOK_BASE_URL=http://127.0.0.1:2/", "JAUGE_FACEBOOK_API_VERSION=v25.0", "JAUGE_TIKTOK_BUSINESS_BASE_URL=http://127.0.0.1:3",
		"JAUGE_GOOGLE_CLIENT_ID=g", "JAUGE_YOUTUBE_BASE_URL=http://localhost:4", "JAUGE_INSTAGRAM_BASE_URL=http://localhost:5",
	)
	if len(ms) > 0 || len(c.Warnings) > 0 {
		t.Fatalf("mistakes %v, warnings %v", ms, c.Warnings)
	}
	ps := providers()
	applied := c.Providers(ps)
	want := ps[0]
	want.Endpoints = oauth.Endpoints{Authorize: "https://gateway.example/a?x=1", Token: "http://127.0.0.1:1/t", Revoke: "https://r.example"}
	want.Base, want.API.Version, want.Scopes = "http://127.0.0.1:2", "v25.0", []string{"one", "two", "three"}
	if diff := cmp.Diff(&want, applied[0]); diff != "" {
		t.Error("provider differs (-want +got):\n" + diff)
	}
	if diff := cmp.Diff(providers(), ps); diff != "" {
		t.Error("the original was changed (-want +got):\n" + diff)
	}
	if b := applied[1].Base; b != "https://open.example" {
		t.Errorf("TikTok's other API replaced the base by %s", b)
	}
	if b := applied[2].Base; b != "http://127.0.0.1:3/v1.3" {
		t.Errorf("the base of tiktok-business is %s", b)
	}
	apps := c.OAuthApps(ps)
	if a := apps["facebook"]; a.ClientID != "id" || a.ClientSecret.Reveal() != "s3cret" {
		t.Error("the client of facebook is wrong")
	}
	if apps["youtube"].ClientID != "g" || len(apps) != len(ps) {
		t.Errorf("clients are %v", apps)
	}
}

func TestVersionStandsInAddresses(t *testing.T) {
	c, ms := loadApps(t, "JAUGE_YOUTUBE_API_VERSION=v4")
	if len(ms) > 0 {
		t.Fatal(ms)
	}
	applied := c.Providers(providers())
	if got := applied[3].Endpoints.Token; got != "https://t.example/v4/token" {
		t.Errorf("the operator's version gave %s", got)
	}
	if got := applied[2].Base; got != "https://b.example/v1.3" {
		t.Errorf("the usual version gave %s", got)
	}
}

func TestOnlyWhatIsSetOfAppsIsShown(t *testing.T) {
	c, ms := loadApps(t, "JAUGE_TIKTOK_CLIENT_ID=id", "JAUGE_TIKTOK_CLIENT_SECRET=s3cret", "JAUGE_TIKTOK_SCOPES=a b", "JAUGE_FACEBOOK_API_VERSION=v25.0")
	if len(ms) > 0 {
		t.Fatal(ms)
	}
	got := map[string]string{}
	for _, s := range c.Summary() {
		if strings.Contains(s.Variable, "TIKTOK") || strings.Contains(s.Variable, "FACEBOOK") {
			got[s.Variable] = s.Value
		}
	}
	want := map[string]string{
		"JAUGE_TIKTOK_CLIENT_ID": "id", "JAUGE_TIKTOK_CLIENT_SECRET": jauge.Secret("s3cret").String(), "JAUGE_TIKTOK_SCOPES": "a,b",
		"JAUGE_FACEBOOK_API_VERSION": "v25.0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("settings differ (-want +got):\n" + diff)
	}
	if shown := fmt.Sprintf("%v %+v %#v", c.Summary(), c.Apps, c.Apps); strings.Contains(shown, "s3cret") {
		t.Error("the secret shows: " + shown)
	}
}

func TestMistakesOfApps(t *testing.T) {
	c, ms := loadApps(t,
		"JAUGE_TIKTOK_CLIENT_SECRET=s3cret", "JAUGE_FACEBOOK_AUTH_URL=facebook.example", "JAUGE_FACEBOOK_TOKEN_URL=https://a:b@t.example",
		"JAUGE_GOOGLE_REVOKE_URL=http://r.example/x", "JAUGE_FACEBOOK_API_VERSION=v24/0", "JAUGE_TIKTOK_BUSINESS_API_VERSION=2",
		"JAUGE_BLUESKY_PLC_URL=plc", "JAUGE_TIKTOK_API_VERSION=v2", "JAUGE_FACEBOOK_CLIENT_IDD=x", "JAUGE_PINTEREST_CLIENT_SECRETS=x",
	)
	want := []string{
		"JAUGE_BLUESKY_PLC_URL: is no address of an endpoint: write it as https://host/path, without user or fragment",
		`JAUGE_FACEBOOK_API_VERSION: "v24/0" is no version: write it like the one that is spoken by default, v24.0`,
		"JAUGE_FACEBOOK_AUTH_URL: is no address of an endpoint: write it as https://host/path, without user or fragment",
		"JAUGE_FACEBOOK_CLIENT_IDD: is no variable of jauge: did you mean JAUGE_FACEBOOK_CLIENT_ID?",
		"JAUGE_FACEBOOK_TOKEN_URL: is no address of an endpoint: write it as https://host/path, without user or fragment",
		"JAUGE_TIKTOK_CLIENT_ID: is missing beside JAUGE_TIKTOK_CLIENT_SECRET: set it to the id that the provider gave with the secret",
	}
	if diff := cmp.Diff(want, strings.Split(ms.Error(), "\n")); diff != "" {
		t.Error("mistakes differ (-want +got):\n" + diff)
	}
	warned := strings.Join(c.Warnings, "\n")
	for _, w := range []string{
		"JAUGE_GOOGLE_REVOKE_URL is not https: tokens and secrets go there in the clear",
		"JAUGE_TIKTOK_API_VERSION means nothing: no version of this platform's API is chosen by jauge",
		`JAUGE_TIKTOK_BUSINESS_API_VERSION is "2", which does not look like this platform's versions: v1.3`,
	} {
		if !strings.Contains(warned, w) {
			t.Errorf("lacks %q in\n%s", w, warned)
		}
	}
}

// On a cluster the replicas must share the key, and only the operator can give it to them.
func TestClusterWithoutVaultKey(t *testing.T) {
	const cluster = "JAUGE_NATS_URL=nats://127.0.0.1:1"
	c, ms := loadApps(t, cluster)
	if len(ms) > 0 || c.Vaulted() || len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "JAUGE_VAULT_KEY is missing: with an external NATS") {
		t.Errorf("public accounts alone: mistakes %v, warnings %q", ms, c.Warnings)
	}
	if _, ms = loadApps(t, cluster, "JAUGE_TIKTOK_CLIENT_ID=id"); len(ms) != 1 || ms[0].Variable != "JAUGE_VAULT_KEY" {
		t.Errorf("with a client: mistakes %v", ms)
	}
	c, ms = loadApps(t, cluster, "JAUGE_TIKTOK_CLIENT_ID=id", "JAUGE_VAULT_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if len(ms) > 0 || len(c.Warnings) > 0 || !c.Vaulted() {
		t.Errorf("with a key: mistakes %v, warnings %q", ms, c.Warnings)
	}
	if c, ms = loadApps(t, "JAUGE_TIKTOK_CLIENT_ID=id"); len(ms) > 0 || !c.Vaulted() {
		t.Errorf("without a cluster: mistakes %v", ms)
	}
}

func TestAllowNets(t *testing.T) {
	c, ms := load(t, "JAUGE_ALLOW_NETS=10.1.0.0/16, fd00::/8")
	if len(ms) > 0 || len(c.HTTP.AllowNets) != 2 {
		t.Fatalf("nets are %v, mistakes %v", c.HTTP.AllowNets, ms)
	}
	for _, s := range c.Summary() {
		if s.Variable == "JAUGE_ALLOW_NETS" && s.Value != "10.1.0.0/16,fd00::/8" {
			t.Errorf("they are shown as %s", s.Value)
		}
	}
	_, ms = load(t, "JAUGE_ALLOW_NETS=10.1.0.0/16,intranet")
	want := `JAUGE_ALLOW_NETS: "10.1.0.0/16,intranet" holds what is no network: write each as 10.1.2.0/24, apart by commas`
	if ms.Error() != want {
		t.Errorf("mistakes are %q, want %q", ms.Error(), want)
	}
}

func TestMistakesOfTheVault(t *testing.T) {
	for environ, want := range map[string]string{
		"JAUGE_VAULT_KEY=s3cret":                "JAUGE_VAULT_KEY: ",
		"JAUGE_VAULT_KEY=AAAA,AAAA":             "JAUGE_VAULT_KEY: ",
		"JAUGE_VAULT_STATE_LIFE=0s":             "JAUGE_VAULT_STATE_LIFE: is 0s: ",
		"JAUGE_VAULT_WARN=soon":                 `JAUGE_VAULT_WARN: "soon" is no duration`,
		"JAUGE_VAULT_KEY_FILE=/run/secrets/key": "JAUGE_VAULT_KEY_FILE: cannot be read",
	} {
		_, ms := load(t, environ)
		if len(ms) != 1 || !strings.HasPrefix(ms.Error(), want) || strings.Contains(ms.Error(), "s3cret") {
			t.Errorf("%s gave %q, want one mistake that begins with %q", environ, ms.Error(), want)
		}
	}
}
