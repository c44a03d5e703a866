package configs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge/configs"
)

const (
	goodHash = "JAUGE_ADMIN_PASSWORD_HASH=$argon2id$v=19$m=65536,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$cjRuZG9tLWtleS1vZi0zMi1ieXRlcy1sb25nISEhISE"
	proxies  = "JAUGE_TRUSTED_PROXIES=127.0.0.1, 10.1.2.3/8"
	header   = "JAUGE_FORWARD_AUTH_HEADER=X-Forwarded-User"
	site     = "JAUGE_PUBLIC_URL=https://Jauge.Example/"
)

func TestWhoMayEnter(t *testing.T) {
	const (
		reached  = `JAUGE_LISTEN: "%" is reached from other machines: `
		login    = "set JAUGE_ADMIN_PASSWORD_HASH (made by `jauge hash-password`), or JAUGE_FORWARD_AUTH_HEADER with JAUGE_TRUSTED_PROXIES"
		public   = "set JAUGE_PUBLIC_URL to the https address under which browsers come: https://jauge.example"
		instead  = "; or listen on 127.0.0.1 alone, with JAUGE_OPS_LISTEN for /metrics and health"
		notHTTPS = `JAUGE_PUBLIC_URL: "http://jauge.example" is not https, which is needed but on loopback: platforms send people and codes there`
	)
	for _, tt := range []struct {
		name    string
		listen  string
		environ []string
		want    string // % stands for listen
	}{
		{"loopback", "127.0.0.1:8080", nil, ""},
		{"another loopback", "127.8.0.1:8080", nil, ""},
		{"loopback of IPv6", "[::1]:8080", nil, ""},
		{"localhost", "LocalHost:8080", nil, ""},
		{"every address", "0.0.0.0:8080", nil, reached + login + ", and " + public + instead},
		{"every address of IPv6", "[::]:8080", nil, reached + login + ", and " + public + instead},
		{"no host", ":8080", nil, reached + login + ", and " + public + instead},
		{"an address", "192.0.2.1:8080", nil, reached + login + ", and " + public + instead},
		{"a mapped loopback", "[::ffff:127.0.0.1]:8080", nil, ""},
		{"a name", "jauge.example:8080", nil, reached + login + ", and " + public + instead},
		{"a name that begins like loopback", "127.0.0.1.example:8080", nil, reached + login + ", and " + public + instead},
		{"password and site", "0.0.0.0:8080", []string{goodHash, site}, ""},
		{"proxy and site", "0.0.0.0:8080", []string{proxies, header, site}, ""},
		{"no site", "0.0.0.0:8080", []string{goodHash}, reached + public + instead},
		{"no login", "0.0.0.0:8080", []string{site}, reached + login + instead},
		{"proxies without header are no login", "0.0.0.0:8080", []string{site, proxies}, reached + login + instead},
		{"http on loopback is no https", "0.0.0.0:8080", []string{goodHash, "JAUGE_PUBLIC_URL=http://localhost:8080"}, reached + public + instead},
		{"http elsewhere is told once", "0.0.0.0:8080", []string{goodHash, "JAUGE_PUBLIC_URL=http://jauge.example"}, notHTTPS},
		{"http elsewhere is refused on loopback too", "127.0.0.1:8080", []string{"JAUGE_PUBLIC_URL=http://jauge.example"}, notHTTPS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ms := load(t, append(tt.environ, "JAUGE_LISTEN="+tt.listen)...)
			if diff := cmp.Diff(strings.ReplaceAll(tt.want, "%", tt.listen), ms.Error()); diff != "" {
				t.Error("mistakes differ (-want +got):\n" + diff)
			}
		})
	}
}

func TestAccessIsRead(t *testing.T) {
	c, ms := load(t, goodHash, proxies, header, site, "JAUGE_FORWARD_AUTH_USERS=ana@acme.example, , Bob B")
	if len(ms) > 0 {
		t.Fatal(ms)
	}
	if got := c.Access.TrustedProxies.String(); got != "127.0.0.1/32,10.0.0.0/8" {
		t.Errorf("proxies are %s", got)
	}
	if diff := cmp.Diff(configs.List{"ana@acme.example", "Bob B"}, c.Access.ForwardAuthUsers); diff != "" {
		t.Error("users differ (-want +got):\n" + diff)
	}
	if c.PublicURL != "https://jauge.example" {
		t.Errorf("the public address is %s", c.PublicURL)
	}
	if !c.Access.Guarded() || !c.Access.Forwarded() {
		t.Error("password and proxy count as nothing")
	}
	for _, s := range c.Summary() {
		if strings.Contains(s.Value, "argon2id") {
			t.Errorf("%s shows the hash", s.Variable)
		}
		if s.Variable == "JAUGE_TRUSTED_PROXIES" && s.Value != "127.0.0.1/32,10.0.0.0/8" {
			t.Errorf("proxies are shown as %s", s.Value)
		}
	}
}

func TestMistakesOfAccess(t *testing.T) {
	const notHash = "JAUGE_ADMIN_PASSWORD_HASH: is no argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash): make it by `jauge hash-password`, " +
		"and mind that a compose file wants $$ for each $"
	for _, tt := range []struct {
		name    string
		environ []string
		want    string // how the only mistake begins
	}{
		{"the password itself", []string{"JAUGE_ADMIN_PASSWORD_HASH=hunter2"}, notHash},
		{"bcrypt", []string{"JAUGE_ADMIN_PASSWORD_HASH=$2y$10$abcdefghijklmnopqrstuv"}, notHash},
		{"argon2i", []string{strings.Replace(goodHash, "2id", "2i", 1)}, notHash},
		{"eaten by compose", []string{"JAUGE_ADMIN_PASSWORD_HASH==19=65536,t=1,p=2"}, notHash},
		{"no round", []string{strings.Replace(goodHash, "t=1", "t=0", 1)}, "JAUGE_ADMIN_PASSWORD_HASH: is an argon2id hash that protects nothing"},
		{"no lane", []string{strings.Replace(goodHash, "p=2", "p=0", 1)}, "JAUGE_ADMIN_PASSWORD_HASH: is an argon2id hash that protects nothing"},
		{"no key", []string{goodHash[:strings.LastIndex(goodHash, "$")+1]}, "JAUGE_ADMIN_PASSWORD_HASH: is an argon2id hash that protects nothing"},
		{"all memory", []string{strings.Replace(goodHash, "m=65536", "m=4294967295", 1)}, "JAUGE_ADMIN_PASSWORD_HASH: would cost 4194303 MiB"},
		{"header alone", []string{header}, "JAUGE_FORWARD_AUTH_HEADER: is believed from nobody: set JAUGE_TRUSTED_PROXIES"},
		{"users alone", []string{"JAUGE_FORWARD_AUTH_USERS=ana"}, "JAUGE_FORWARD_AUTH_USERS: means nothing without JAUGE_FORWARD_AUTH_HEADER"},
		{"no header", []string{proxies, "JAUGE_FORWARD_AUTH_HEADER=X Forwarded"}, "JAUGE_FORWARD_AUTH_HEADER: is no name of a header"},
		{"taken header", []string{proxies, "JAUGE_FORWARD_AUTH_HEADER=x-forwarded-for"}, "JAUGE_FORWARD_AUTH_HEADER: is x-forwarded-for, which"},
		{"a name as proxy", []string{"JAUGE_TRUSTED_PROXIES=proxy"}, `JAUGE_TRUSTED_PROXIES: "proxy" cannot be read: "proxy" is neither`},
		{"every proxy", []string{header, "JAUGE_TRUSTED_PROXIES=0.0.0.0/0"}, "JAUGE_TRUSTED_PROXIES: trusts the whole internet"},
		{"path", []string{"JAUGE_PUBLIC_URL=https://jauge.example/x"}, "JAUGE_PUBLIC_URL: is no address of a site of its own"},
		{"query", []string{"JAUGE_PUBLIC_URL=https://jauge.example?a=b"}, "JAUGE_PUBLIC_URL: is no address of a site of its own"},
		{"user", []string{"JAUGE_PUBLIC_URL=https://a:b@jauge.example"}, "JAUGE_PUBLIC_URL: is no address of a site of its own"},
		{"no scheme", []string{"JAUGE_PUBLIC_URL=jauge.example"}, "JAUGE_PUBLIC_URL: is no address of a site of its own"},
		{"no port", []string{"JAUGE_OPS_LISTEN=0.0.0.0"}, `JAUGE_OPS_LISTEN: "0.0.0.0" is no address`},
		{"a port beyond", []string{"JAUGE_LISTEN=127.0.0.1:70000"}, `JAUGE_LISTEN: "127.0.0.1:70000" is no address`},
		{"same address", []string{"JAUGE_OPS_LISTEN=127.0.0.1:8080"}, `JAUGE_OPS_LISTEN: "127.0.0.1:8080" takes the same port as JAUGE_LISTEN`},
		{"same port of all", []string{"JAUGE_OPS_LISTEN=:8080"}, `JAUGE_OPS_LISTEN: ":8080" takes the same port as JAUGE_LISTEN`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ms := load(t, tt.environ...)
			if len(ms) != 1 || !strings.HasPrefix(ms.Error(), tt.want) {
				t.Errorf("got %q, want one mistake that begins with %q", ms.Error(), tt.want)
			}
			if strings.Contains(ms.Error(), "hunter2") {
				t.Error("the password shows")
			}
		})
	}
}

func TestOpsListenerNeedsNoLogin(t *testing.T) {
	c, ms := load(t, "JAUGE_OPS_LISTEN=0.0.0.0:9090")
	if len(ms) > 0 || len(c.Warnings) > 0 || c.OpsListen != "0.0.0.0:9090" {
		t.Errorf("got %q, mistakes %v and warnings %v", c.OpsListen, ms, c.Warnings)
	}
	if _, ms := load(t, "JAUGE_OPS_LISTEN=127.0.0.1:0", "JAUGE_LISTEN=127.0.0.1:0"); len(ms) > 0 {
		t.Errorf("two ports of the kernel's choice gave %v", ms)
	}
}

func TestWarningsOfAccess(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		want    string
	}{
		{[]string{site}, "JAUGE_PUBLIC_URL is set, and nobody is asked for a password"},
		{[]string{strings.Replace(goodHash, "m=65536", "m=1024", 1)}, "JAUGE_ADMIN_PASSWORD_HASH is cheap to guess"},
	} {
		c, ms := load(t, tt.environ...)
		if len(ms) > 0 || len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], tt.want) {
			t.Errorf("%v gave mistakes %v and warnings %q", tt.environ, ms, c.Warnings)
		}
	}
}
