package configs_test

import (
	"net"
	"strings"
	"testing"

	"jauge.dev/jauge/configs"
)

// FuzzAccess: whatever is set, a configuration that passes and listens beyond loopback asks who comes, and is reached by
// https.
func FuzzAccess(f *testing.F) {
	f.Add("127.0.0.1:8080", "", "", "", "", "")
	f.Add("0.0.0.0:8080", "https://jauge.example", strings.TrimPrefix(goodHash, "JAUGE_ADMIN_PASSWORD_HASH="), "", "", ":9090")
	f.Add("[::]:8080", "https://jauge.example/", "", "X-Forwarded-User", "10.0.0.0/8, ::1", "127.0.0.1:9090")
	f.Add("localhost:http", "http://[::1]:8080", "$argon2id$v=19$m=1,t=0,p=0$$", "Cookie", "0.0.0.0/0", "localhost:http")
	f.Fuzz(func(t *testing.T, listen, public, hash, header, proxies, ops string) {
		if strings.ContainsRune(listen+public+hash+header+proxies+ops, 0) {
			return // no environment holds these
		}
		c, ms := load(t, "JAUGE_LISTEN="+listen, "JAUGE_PUBLIC_URL="+public, "JAUGE_ADMIN_PASSWORD_HASH="+hash,
			"JAUGE_FORWARD_AUTH_HEADER="+header, "JAUGE_TRUSTED_PROXIES="+proxies, "JAUGE_OPS_LISTEN="+ops)
		if len(ms) > 0 {
			return
		}
		host, _, err := net.SplitHostPort(c.Listen)
		if err != nil {
			t.Fatalf("%q passed", c.Listen)
		}
		ip := net.ParseIP(host)
		near := strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
		if near != configs.Loopback(c.Listen) {
			t.Errorf("%q counts as loopback: %v", c.Listen, !near)
		}
		if !near && (!c.Access.Guarded() || !strings.HasPrefix(c.PublicURL, "https://")) {
			t.Errorf("%q passed with public address %q", c.Listen, c.PublicURL)
		}
	})
}
