//go:build integration

package integration_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRevokedAtProvider: the user takes the grant back; the next run of the vault finds out, once, and says so
// everywhere. Connecting again brings the same account back.
func TestRevokedAtProvider(t *testing.T) {
	t.Parallel()
	app := authorizationServer(t).client(native, object{"access_life": 6})
	j := install(t, connectOnly, append(app.x(), "JAUGE_VAULT_EVERY=500ms")...)
	d := j.start()
	d.ready()
	j.connected(app, "x", "alder")
	first := j.account("x", "alder")
	d.poll(30*time.Second, "a first refresh", func() (bool, string) { return len(app.refreshes()) > 0, app.String() })

	app.revoke()
	var a listed
	d.poll(30*time.Second, "state revoked", func() (bool, string) {
		a = j.account("x", "alder")
		return a.State == "revoked", fmt.Sprintf("%+v %s", a, app)
	})
	if a.Cause != "invalid_grant" && a.Cause != "token_refused" {
		t.Errorf("cause is %q, want invalid_grant or token_refused", a.Cause)
	}
	if since := utc(t, "since", a.Since); time.Since(since) > 30*time.Second {
		t.Errorf("revoked since %s, want some seconds ago", a.Since)
	}
	tried := len(app.events("token"))
	pause(t, 3*time.Second)
	if n := len(app.events("token")); n != tried {
		t.Errorf("a dead grant is tried again and again: %d more token requests in 3 s", n-tried)
	}
	if n := strings.Count(d.logged(), `"was":"ok"`); n > 1 {
		t.Errorf("%d alerts for one change of state", n)
	}
	metric(t, d, `jauge_[a-z_]*grants[a-z_]*\{[^}]*state="revoked"[^}]*\}`, 1)
	if status, _ := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d: a grant is no reason to be restarted", status)
	}

	j.connected(app, "x", "alder")
	if again := j.account("x", "alder"); again.State != "ok" || again.Account != first.Account {
		t.Errorf("after connecting again: %+v, before: %+v", again, first)
	}
	metric(t, d, `jauge_[a-z_]*grants[a-z_]*\{[^}]*state="revoked"[^}]*\}`, 0)
	d.stop()
}

// logged is all that the daemon has written.
func (d *daemon) logged() string { return readFile(d.t, d.log.Name()) }

// metric demands the sum of the series whose name and labels match.
func metric(t *testing.T, d *daemon, pattern string, want float64) {
	t.Helper()
	re := regexp.MustCompile(`(?m)^` + pattern + ` (\S+)$`)
	d.poll(10*time.Second, pattern, func() (bool, string) {
		_, text := d.get("/metrics")
		sum, found := 0.0, false
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			var v float64
			if _, err := fmt.Sscan(m[1], &v); err == nil {
				sum, found = sum+v, true
			}
		}
		return found && sum == want, fmt.Sprintf("found %t, sum %v, want %v", found, sum, want)
	})
}

// TestLostAnswers: what a broken answer to a refresh leads to. The provider gives no grace, so a refresh that may have
// been carried out is never repeated, the token is used until it dies, and then the grant is reported as lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	server := authorizationServer(t)
	for _, c := range []struct {
		name, kind string
		more       object
	}{
		{"connection closed", "drop", nil},
		{"connection closed before it was carried out", "drop", object{"executed": false}},
		{"502", "status", object{"status": 502}},
		{"503", "status", object{"status": 503}},
		{"504", "status", object{"status": 504}},
		{"500", "status", object{"status": 500}},
		{"timeout", "delay", object{"ms": 8000}},
	} {
		app := server.client(native, object{"access_life": 6})
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			app := app.in(t)
			j := install(t, connectOnly, append(app.x(), "JAUGE_VAULT_EVERY=200ms", "JAUGE_VAULT_TIMEOUT=2s")...)
			d := j.start()
			d.ready()
			j.connected(app, "x", "alder")
			app.fault(c.kind, c.more)
			d.poll(60*time.Second, "the loss to be reported", func() (bool, string) {
				a := j.account("x", "alder")
				if a.State == "revoked" && a.Cause != "lost_in_refresh" {
					t.Fatalf("revoked, cause %q, want lost_in_refresh: %s", a.Cause, app)
				}
				return a.State == "revoked", fmt.Sprintf("%+v %s", a, app)
			})
			pause(t, 2*time.Second)
			app.noReuse()
			if n := len(app.presented()); n != 1 {
				t.Errorf("%d refresh tokens were sent, want the one: %s", n, app)
			}
			d.stop()
		})
	}
}

// TestTransientFailures: answers that say that nothing was done cost nothing: the grant lives on.
func TestTransientFailures(t *testing.T) {
	t.Parallel()
	app := authorizationServer(t).client(native, object{"access_life": 6})
	j := install(t, connectOnly, append(app.x(), "JAUGE_VAULT_EVERY=200ms")...)
	d := j.start()
	d.ready()
	j.connected(app, "x", "alder")
	app.fault("status", object{"status": http.StatusTooManyRequests, "executed": false})
	d.poll(90*time.Second, "a refresh after the failures", func() (bool, string) {
		a := j.account("x", "alder")
		if a.State == "revoked" {
			t.Fatalf("the grant was given up: %+v %s", a, app)
		}
		return len(app.refreshes()) > 1 && a.State == "ok", fmt.Sprintf("%+v %s", a, app)
	})
	d.stop()
}

// in returns the client for another test.
func (c *client) in(t *testing.T) *client {
	server := *c.issuer
	server.t = t
	return &client{issuer: &server, ID: c.ID, Secret: c.Secret}
}
