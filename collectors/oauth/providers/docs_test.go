package providers_test

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/providers"
)

// TestGrantsPage keeps the table of docs/grants.md as the providers are. Where it fails, it prints the table to put there.
func TestGrantsPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/grants.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| provider | model | life | renewed | least age | grace | revoked there |\n|---|---|---|---|---|---|---|\n")
	for _, p := range providers.All() {
		r := p.Renewal
		renewed := "—"
		if r.Model != oauth.Static {
			renewed = fmt.Sprintf("%g %%", 100*r.Share)
		}
		revoked := "no"
		switch {
		case p.Endpoints.Revoke != "":
			revoked = "yes"
		case p.Ask != oauth.AskNothing:
			revoked = "where its server can"
		}
		fmt.Fprintf(&want, "| %s | %s | %s | %s | %s | %s | %s |\n", p.Name, cmp.Or(r.Model, "none"), span(r.Life, "no end"), renewed,
			span(r.MinAge, "—"), span(r.Grace, "none"), revoked)
	}
	if !strings.Contains(string(page), "\n"+want.String()+"\n") {
		t.Errorf("docs/grants.md should have this table:\n%s", want.String())
	}
}

// span writes a duration in the largest unit that it is a whole number of.
func span(d time.Duration, zero string) string {
	switch {
	case d == 0:
		return zero
	case d%(24*time.Hour) == 0 && d > 24*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}
