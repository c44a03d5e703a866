package providers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

const (
	linkedinOrganization = "urn:li:organization:"
	linkedinPerson       = "urn:li:person:"
	linkedinPageSize     = 100
	linkedinBatch        = 50 // ids in one request: a longer address gives 414
)

func linkedin() oauth.Provider {
	return oauth.Provider{
		Name: "linkedin", Title: "LinkedIn", App: "LINKEDIN",
		Platforms: []jauge.Platform{jauge.LinkedIn},
		Endpoints: oauth.Endpoints{
			Authorize: "https://www.linkedin.com/oauth/v2/authorization",
			Token:     "https://www.linkedin.com/oauth/v2/accessToken",
			// LinkedIn documents no way to revoke by an API: a member does it in the settings.
		},
		Base: "https://api.linkedin.com",
		API:  collectors.API{Version: "202606", Sunsets: linkedinSunsets()},
		Scopes: []string{
			"r_basicprofile",            // who consented
			"rw_organization_admin",     // statistics of a page, and which pages there are; there is no scope that reads only
			"r_organization_social",     // a page's posts
			"r_member_postAnalytics",    // the member's own posts
			"r_member_profileAnalytics", // the member's own followers
		},
		Auth: oauth.InParams,
		// A code_verifier in the token request is answered by invalid_client, a challenge before it or not.
		NoPKCE:   true,
		NeedsApp: true,
		Renewal: oauth.Renewal{
			// The refresh token stays, and its year is counted from the consent: each renewal tells how much is left. Most
			// apps are given none; then a human has to consent every 60 days.
			Model: oauth.Reusable, Share: 0.25,
			Life: 60 * 24 * time.Hour, MaxLife: 90 * 24 * time.Hour,
		},
		Dead: map[string]oauth.Cause{"invalid_grant": oauth.CauseInvalidGrant},
		List: linkedinSubjects, Refused: linkedinRefused,
		Docs: "https://www.linkedin.com/developers/apps",
		Hint: "The app needs the product Community Management API, and nothing else beside it. LinkedIn refuses a consent that asks for a scope " +
			"that the app was not given: name those that it has in JAUGE_LINKEDIN_SCOPES. Without approval for programmatic refresh, " +
			"you connect again every 60 days.",
	}
}

// linkedinSunsets are the ends of the monthly versions, as LinkedIn's table of versions gives them.
func linkedinSunsets() []collectors.Sunset {
	ends := []struct {
		version string
		year    int
		month   time.Month
		day     int
	}{
		{"202511", 2026, 11, 16}, {"202601", 2027, 1, 15}, {"202602", 2027, 2, 15}, {"202603", 2027, 3, 16},
		{"202604", 2027, 4, 15}, {"202605", 2027, 5, 15}, {"202606", 2027, 6, 15}, {"202607", 2027, 7, 15},
	}
	out := make([]collectors.Sunset, 0, len(ends))
	for _, e := range ends {
		out = append(out, collectors.Sunset{
			Kind: collectors.SunsetVersion, Name: e.version, Ends: time.Date(e.year, e.month, e.day, 0, 0, 0, 0, time.UTC),
			Then: "a newer monthly version", From: "https://learn.microsoft.com/en-us/linkedin/marketing/integrations/migrations",
		})
	}
	return out
}

// linkedinHeader is what every call needs; without a version LinkedIn answers VERSION_MISSING.
func linkedinHeader(c *oauth.Call) http.Header {
	return http.Header{"Linkedin-Version": {c.Provider.API.Version}, "X-Restli-Protocol-Version": {"2.0.0"}}
}

// linkedinSubjects lists the pages that the member administers, and the member where its own statistics were granted.
func linkedinSubjects(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	granted := func(scope string) bool {
		if t.Scopes == nil { // as asked for
			return slices.Contains(c.Provider.Scopes, scope)
		}
		return slices.Contains(t.Scopes, scope)
	}
	var (
		holder oauth.Holder
		found  []oauth.Subject
		err    error
	)
	if granted("r_basicprofile") {
		if holder, err = linkedinMember(ctx, c); err != nil {
			return oauth.Holder{}, nil, err
		}
	}
	if granted("rw_organization_admin") {
		var admin string
		if found, admin, err = linkedinPages(ctx, c); err != nil {
			return oauth.Holder{}, nil, err
		}
		holder.ID = cmp.Or(holder.ID, admin) // an app that may not ask for profiles still learns who it is
	}
	if holder.ID == "" {
		return oauth.Holder{}, nil, &jauge.Error{
			Op: "read member", Reason: jauge.ReasonScope, Err: errors.New("the member administers no page, and its profile may not be read"),
			Hint: "put r_basicprofile into JAUGE_LINKEDIN_SCOPES, or connect as an administrator of a page",
		}
	}
	if granted("r_member_postAnalytics") || granted("r_member_profileAnalytics") {
		found = append(found, oauth.Subject{Platform: jauge.LinkedIn, ID: holder.ID, Handle: holder.Handle, Name: holder.Name})
	}
	return holder, found, nil
}

func linkedinMember(ctx context.Context, c *oauth.Call) (oauth.Holder, error) {
	var me struct {
		ID     string `json:"id"`
		First  string `json:"localizedFirstName"`
		Last   string `json:"localizedLastName"`
		Vanity string `json:"vanityName"`
	}
	if err := oauth.GetJSON(ctx, c, "read member", c.Provider.Base+"/v2/me", linkedinHeader(c), &me); err != nil {
		return oauth.Holder{}, err
	}
	if me.ID == "" {
		return oauth.Holder{}, &jauge.Error{Op: "read member", Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	return oauth.Holder{ID: linkedinPerson + me.ID, Handle: me.Vanity, Name: strings.TrimSpace(me.First + " " + me.Last)}, nil
}

// linkedinPages lists the pages, with the member who administers them.
func linkedinPages(ctx context.Context, c *oauth.Call) (pages []oauth.Subject, admin string, err error) {
	ids, admin, err := linkedinRoles(ctx, c)
	if err != nil {
		return nil, "", err
	}
	for batch := range slices.Chunk(ids, linkedinBatch) {
		var orgs struct {
			Results map[string]struct {
				Name   string `json:"localizedName"`
				Vanity string `json:"vanityName"`
			} `json:"results"`
		}
		// Rest.li wants List(…) as it is: url.Values would escape the brackets.
		address := c.Provider.Base + "/rest/organizations?ids=List(" + strings.Join(batch, ",") + ")"
		if err := oauth.GetJSON(ctx, c, "read pages", address, linkedinHeader(c), &orgs); err != nil {
			return nil, "", err
		}
		for _, id := range batch {
			o := orgs.Results[id]
			pages = append(pages, oauth.Subject{Platform: jauge.LinkedIn, ID: linkedinOrganization + id, Handle: o.Vanity, Name: o.Name})
		}
	}
	return pages, admin, nil
}

// linkedinRoles lists the ids of the pages that the member administers.
func linkedinRoles(ctx context.Context, c *oauth.Call) (ids []string, admin string, err error) {
	for page := range maxPages {
		var acls struct {
			Elements []struct {
				Organization string `json:"organization"`
				Target       string `json:"organizationalTarget"` // older answers
				Assignee     string `json:"roleAssignee"`
			} `json:"elements"`
		}
		address := c.Provider.Base + "/rest/organizationAcls?q=roleAssignee&role=ADMINISTRATOR&state=APPROVED&count=" +
			strconv.Itoa(linkedinPageSize) + "&start=" + strconv.Itoa(page*linkedinPageSize)
		if err := oauth.GetJSON(ctx, c, "list pages", address, linkedinHeader(c), &acls); err != nil {
			return nil, "", err
		}
		for _, e := range acls.Elements {
			admin = cmp.Or(admin, e.Assignee)
			// Showcase pages (organizationBrand) are read by other calls. An id goes into an address: digits only.
			id, ok := strings.CutPrefix(cmp.Or(e.Organization, e.Target), linkedinOrganization)
			if _, err := strconv.ParseUint(id, 10, 64); ok && err == nil && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		if len(acls.Elements) < linkedinPageSize { // there is no total, and a next link is not always there
			break
		}
	}
	return ids, admin, nil
}

// linkedinRefused reads LinkedIn's flat error. A 401 of any serviceErrorCode is about the token. A 403 is about a scope,
// about a role that the member lost, or about a post of somebody else in a batch, which says nothing of the grant.
func linkedinRefused(status int, _ http.Header, body []byte) oauth.Cause {
	if status == http.StatusUnauthorized {
		return oauth.CauseTokenRefused
	}
	var e struct {
		Code    string `json:"code"`
		Service int    `json:"serviceErrorCode"`
		Message string `json:"message"`
	}
	if status != http.StatusForbidden || json.Unmarshal(body, &e) != nil {
		return oauth.CauseNone
	}
	switch {
	case strings.HasPrefix(e.Message, "Unpermitted fields"):
		return oauth.CauseNone
	case strings.HasPrefix(e.Message, "Not enough permissions"):
		return oauth.CauseScope
	case e.Code == "ACCESS_DENIED" || e.Service == 100:
		return oauth.CauseWrongObject
	}
	return oauth.CauseNone
}
