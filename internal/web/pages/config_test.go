package pages_test

import (
	"net/url"
	"strings"
	"testing"

	"jauge.dev/jauge/internal/web/pages"
	"jauge.dev/jauge/internal/web/pages/pagestest"
)

func TestConfig(t *testing.T) {
	forward := func(c *pages.Config) { c.AdminHash, c.ForwardHeader = "", "Remote-User" }
	for name, try := range map[string]struct {
		change func(*pages.Config)
		wrong  string
	}{
		"as it is":                  {func(*pages.Config) {}, ""},
		"forward auth":              {forward, ""},
		"forward auth from nobody":  {func(c *pages.Config) { forward(c); c.TrustedProxies = nil }, "JAUGE_TRUSTED_PROXIES"},
		"no credential":             {func(c *pages.Config) { c.AdminHash = "" }, "JAUGE_ADMIN_PASSWORD_HASH"},
		"open to the world":         {func(c *pages.Config) { c.AdminHash, c.Open = "", true }, "reached from elsewhere"},
		"open and locked":           {func(c *pages.Config) { c.Open, c.Listen = true, "127.0.0.1:1" }, "choose one"},
		"a password for a hash":     {func(c *pages.Config) { c.AdminHash = "hunter2" }, "jauge hash-password"},
		"a hash of another kind":    {func(c *pages.Config) { c.AdminHash = "$2a$10$abcdefghijklmnopqrstuv" }, "jauge hash-password"},
		"a hash that costs a world": {func(c *pages.Config) { c.AdminHash = secret(strings.Replace(cheap.Reveal(), "m=64", "m=4000000", 1)) }, "make no sense"},
		"a hash that costs nothing": {func(c *pages.Config) { c.AdminHash = secret(strings.Replace(cheap.Reveal(), "t=1", "t=0", 1)) }, "make no sense"},
		"a short key":               {func(c *pages.Config) { c.SessionKey = key()[:31] }, "31 bytes"},
		"no address":                {func(c *pages.Config) { c.Listen = "8080" }, "listen address"},
		"a path in the public URL":  {func(c *pages.Config) { c.Public = &url.URL{Scheme: "https", Host: "x", Path: "/jauge"} }, "JAUGE_PUBLIC_URL"},
		"another scheme":            {func(c *pages.Config) { c.Public = &url.URL{Scheme: "ftp", Host: "x"} }, "JAUGE_PUBLIC_URL"},
	} {
		c := guarded()
		try.change(&c)
		_, err := pages.New(c, pagestest.New(), pages.Deps{})
		if (err == nil) != (try.wrong == "") || err != nil && !strings.Contains(err.Error(), try.wrong) {
			t.Errorf("%s: %v, want %q", name, err, try.wrong)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "c2FsdHNhbHQ")) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

func TestHashPassword(t *testing.T) {
	if _, err := pages.HashPassword(""); err == nil {
		t.Error("an empty password was hashed")
	}
	a, err := pages.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pages.HashPassword(password)
	if err != nil || a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=47104,t=1,p=1$") {
		t.Errorf("hashes %s and %s (%v)", a, b, err)
	}
	c := guarded()
	c.AdminHash = secret(a)
	v := visit(t, server(t, c, pagestest.New(), pages.Deps{}), home)
	if r := v.login(password, "/"); v.cookies["__Host-jauge"] == nil {
		t.Errorf("the password of the hash gave %d", r.StatusCode)
	}
}
