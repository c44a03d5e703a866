package providers

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/oauth"
)

// Kinds of tokens, as debug_token names them; kept in Token.Extra.
const (
	facebookKind       = "kind"
	facebookPage       = "PAGE"
	facebookSystemUser = "SYSTEM_USER"
	// facebookDataEnds is when Meta stops to give data of a user who was away for 90 days, in Unix seconds: apart from the
	// token's own end, and cured by nothing but a new consent. Permissions of pages are exempt, those of Instagram are not.
	facebookDataEnds = "data_access_expires_at"
)

const facebookPageFields = "id,name,username,picture{url},instagram_business_account{id,username,name,profile_picture_url}"

func facebook() oauth.Provider {
	return oauth.Provider{
		Name: "facebook", Title: "Facebook and Instagram", App: "FACEBOOK",
		Platforms: []jauge.Platform{jauge.Facebook, jauge.Instagram},
		Endpoints: oauth.Endpoints{
			Authorize: "https://www.facebook.com/{version}/dialog/oauth",
			Token:     "https://graph.facebook.com/{version}/oauth/access_token",
			// From memory: DELETE here takes the app away from the user, with every token.
			Revoke: "https://graph.facebook.com/{version}/me/permissions",
		},
		Base: "https://graph.facebook.com/{version}",
		API:  collectors.API{Version: graphVersion, Sunsets: graphSunsets()},
		Scopes: []string{
			"pages_show_list",           // which pages there are
			"pages_read_engagement",     // a page's posts
			"read_insights",             // its figures
			"instagram_basic",           // the accounts behind the pages, and their media
			"instagram_manage_insights", // their figures
		},
		Separator: ",",
		Auth:      oauth.InParams,
		NoPKCE:    true, // not part of this flow's documentation
		// From memory: without this, who once declined a scope is never asked for it again.
		Params:   map[string]string{"auth_type": "rerequest"},
		NeedsApp: true,
		// From 24 hours on, so that a token is not exchanged twice a day by mistake; Meta sets no least age.
		Renewal: metaRenewal(24 * time.Hour),
		Dead:    metaDead(),
		Dialect: facebookDialect{},
		List:    facebookSubjects, Refused: metaRefused,
		Docs: "https://developers.facebook.com/apps",
		Hint: "Pages that come through a business need business_management, or ads_read for Instagram, as well: add them in JAUGE_FACEBOOK_SCOPES. " +
			"A person without a role in the app can connect only once its review is passed. Best for a server that nobody looks after: the " +
			"token of a system user with the pages assigned, which does not end.",
	}
}

// facebookDialect has no refresh token: a user's token is exchanged for one that lives longer, for as long as it is valid.
type facebookDialect struct{ oauth.Standard }

var _ oauth.Inspector = facebookDialect{}

// Begin makes the address of the consent page.
func (d facebookDialect) Begin(ctx context.Context, c *oauth.Call, s *oauth.Start, input string) error {
	return d.Standard.Begin(ctx, versioned(c), s, input)
}

// Exchange trades the code for a token of an hour or two, that one for a long-lived one, and asks what was agreed to. A
// page's token that comes of a long-lived one does not end, so there is no doing without.
func (d facebookDialect) Exchange(ctx context.Context, c *oauth.Call, s *oauth.Start, callback url.Values) (*oauth.Token, error) {
	c = versioned(c)
	short, err := d.Standard.Exchange(ctx, c, s, metaCallback(callback))
	if err != nil {
		return nil, metaFlow(err)
	}
	long, err := facebookExtend(ctx, c, short)
	if err != nil {
		return nil, metaFlow(fmt.Errorf("exchange for a long-lived token: %w", err))
	}
	if long.Scopes == nil {
		// Without an answer here the scopes count as asked for, and a missing one is noticed by the calls that need it: no
		// reason to send a human through the consent again.
		if granted, err := d.granted(ctx, c, long); err == nil {
			long.Scopes = granted
		}
	}
	return long, nil
}

// facebookExtend sends what the documentation puts into a query as a form: the Graph API takes both (x/oauth2, and all that
// is built on it, posts to this endpoint), and nothing secret stands in an address then. Nothing is spent by it.
func facebookExtend(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	form := url.Values{"grant_type": {"fb_exchange_token"}, "fb_exchange_token": {old.Access.Reveal()}}
	if old.Extra[facebookKind] == facebookSystemUser {
		form.Set("set_token_expires_in_60_days", "true")
	}
	t, err := oauth.PostToken(ctx, c, c.Addresses().Token, form, old.Access)
	if err != nil {
		return nil, metaRefusal(err)
	}
	return oauth.Inherit(t, old), nil
}

// Renew exchanges the token, which must not have ended yet, for one that lives another 60 days.
func (facebookDialect) Renew(ctx context.Context, c *oauth.Call, old *oauth.Token) (*oauth.Token, error) {
	if old.Extra[facebookKind] == facebookPage {
		return nil, fmt.Errorf("renew: %w: a page's token is not exchanged", oauth.ErrNotSent)
	}
	t, err := facebookExtend(ctx, versioned(c), old)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	return t, nil
}

// Revoke takes the app away from the user. A pasted token is not ours to end: it may serve others, and says so by
// errors.ErrUnsupported.
func (d facebookDialect) Revoke(ctx context.Context, c *oauth.Call, t *oauth.Token) error {
	c = versioned(c)
	if t.Extra[facebookKind] != "" {
		return fmt.Errorf("revoke: a token that was pasted is ended where it was made, in the business settings: %w", errors.ErrUnsupported)
	}
	address := c.Addresses().Revoke
	if address == "" {
		return nil
	}
	a, err := d.send(ctx, c, http.MethodDelete, address, t)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	e, ok := readMetaError(a.Body)
	if ok && (e.Code == 190 || e.Code == 102) {
		return nil // it was worth nothing before
	}
	return oauth.Blot(fmt.Errorf("revoke: facebook answered %d %d: %s", a.Status, e.Code, e.Message), t.Access, c.Client().ClientSecret)
}

// Sign puts the token into a header, not into the address, and the proof that we know the app's secret beside it: apps can
// require it, and each token has its own. Facebook alone knows it.
func (d facebookDialect) Sign(c *oauth.Call, req *http.Request, t *oauth.Token) error {
	if err := d.Standard.Sign(c, req, t); err != nil {
		return err
	}
	secret := c.Client().ClientSecret
	if secret == "" {
		return nil
	}
	q, u := req.URL.Query(), *req.URL
	q.Set("appsecret_proof", appsecretProof(secret, t.Access))
	u.RawQuery = q.Encode()
	req.URL = &u
	return nil
}

// appsecretProof is the lower-case hex of HMAC-SHA256 over the token, keyed by the app's secret.
func appsecretProof(secret, token jauge.Secret) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(token.Reveal()))
	return hex.EncodeToString(mac.Sum(nil))
}

// send makes a signed request where Call.HTTP signs none.
func (d facebookDialect) send(ctx context.Context, c *oauth.Call, method, address string, t *oauth.Token) (oauth.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return oauth.Answer{}, fmt.Errorf("%w: make request: %w", oauth.ErrNotSent, oauth.Scrub(err))
	}
	req.Header.Set("Accept", "application/json")
	if err := d.Sign(c, req, t); err != nil {
		return oauth.Answer{}, err
	}
	return oauth.Fetch(ctx, c, req)
}

// granted asks what the user agreed to; others are declined or expired.
func (d facebookDialect) granted(ctx context.Context, c *oauth.Call, t *oauth.Token) ([]string, error) {
	a, err := d.send(ctx, c, http.MethodGet, c.Provider.Base+"/me/permissions", t)
	if err != nil {
		return nil, err
	}
	var list struct {
		Data []struct {
			Permission string `json:"permission"`
			Status     string `json:"status"`
		} `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &list); err != nil || a.Status != http.StatusOK || len(list.Data) == 0 {
		return nil, fmt.Errorf("read permissions: facebook answered %d", a.Status)
	}
	out := []string{}
	for _, p := range list.Data {
		if p.Status == "granted" {
			out = append(out, p.Permission)
		}
	}
	return out, nil
}

// Inspect asks what a pasted token is: a user's, a page's or a system user's, when it ends, and what it may do. The token
// stands in the address, since nothing else is documented; oauth.Fetch shows no address and follows no redirect.
func (facebookDialect) Inspect(ctx context.Context, c *oauth.Call, t *oauth.Token) error {
	c = versioned(c)
	app := c.Client()
	address := c.Provider.Base + "/debug_token?" + url.Values{"input_token": {t.Access.Reveal()}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%w: make request: %w", oauth.ErrNotSent, oauth.Scrub(err))
	}
	req.Header.Set("Accept", "application/json")
	// The app's own token; without a secret a token may ask about itself (from memory).
	by := app.ClientID + "|" + app.ClientSecret.Reveal()
	if app.ClientSecret == "" {
		by = t.Access.Reveal()
	}
	req.Header.Set("Authorization", "Bearer "+by)
	secrets := []jauge.Secret{t.Access, app.ClientSecret}
	a, err := oauth.Fetch(ctx, c, req)
	if err != nil {
		return oauth.Blot(fmt.Errorf("inspect token: %w", err), secrets...)
	}
	if a.Status != http.StatusOK {
		_, err := oauth.ReadToken(c, a) // reads the error
		return oauth.Blot(fmt.Errorf("inspect token: %w", err), secrets...)
	}
	var w struct {
		Data facebookDebug `json:"data"`
	}
	if json.Unmarshal(a.Body, &w) != nil {
		return errors.New("inspect token: the answer is not as documented")
	}
	return oauth.Blot(w.Data.fill(c, t), secrets...)
}

// facebookDebug is what debug_token says. An expiry of 0 means never.
type facebookDebug struct {
	App      text     `json:"app_id"`
	Type     string   `json:"type"`
	Valid    bool     `json:"is_valid"`
	Issued   int64    `json:"issued_at"`
	Expires  int64    `json:"expires_at"`
	DataEnds int64    `json:"data_access_expires_at"`
	Scopes   []string `json:"scopes"`
	User     text     `json:"user_id"`
	Profile  text     `json:"profile_id"` // of a page's token: the page
	Error    *struct {
		Code    text   `json:"code"`
		Subcode text   `json:"subcode"`
		Message string `json:"message"`
	} `json:"error"`
}

// fill completes a token with what was learnt.
func (d *facebookDebug) fill(c *oauth.Call, t *oauth.Token) error {
	if !d.Valid {
		e := &oauth.TokenError{Status: http.StatusOK, Code: "190", Text: "the token is not valid"}
		if d.Error != nil {
			e.Code = cmp.Or(string(d.Error.Code), e.Code)
			if sub := string(d.Error.Subcode); sub != "" && sub != "0" {
				e.Code += "/" + sub
			}
			e.Text = cmp.Or(d.Error.Message, e.Text)
		}
		return e
	}
	if ours := c.Client().ClientID; ours != "" && d.App != "" && string(d.App) != ours {
		return &oauth.FlowError{Kind: oauth.FlowBadInput, Err: fmt.Errorf(
			"the token belongs to app %s, but JAUGE_FACEBOOK_CLIENT_ID is %s: every call carries a proof made of the app's secret", d.App, ours)}
	}
	now := c.Now().UTC().Truncate(time.Second)
	if d.Issued > 0 && d.Issued <= now.Unix() {
		t.Issued = time.Unix(d.Issued, 0).UTC()
	}
	t.Expiry = time.Time{}
	if d.Expires > 0 { // as far as it can be believed
		t.Expiry = c.Provider.Renewal.Expiry(now, strconv.FormatInt(d.Expires-now.Unix(), 10))
	}
	if d.Scopes != nil {
		t.Scopes = d.Scopes
	}
	t.Subject = cmp.Or(string(d.Profile), string(d.User), t.Subject)
	if t.Extra == nil {
		t.Extra = map[string]string{}
	}
	t.Extra[facebookKind] = strings.ToUpper(cmp.Or(d.Type, "USER"))
	if d.DataEnds > 0 {
		t.Extra[facebookDataEnds] = strconv.FormatInt(d.DataEnds, 10)
	}
	return nil
}

// facebookNode is a page with the Instagram account that is linked to it.
type facebookNode struct {
	ID       text   `json:"id"`
	Name     string `json:"name"`
	Username string `json:"username"`
	Picture  struct {
		Data struct {
			URL string `json:"url"`
		} `json:"data"`
	} `json:"picture"`
	Token     string `json:"access_token"`
	Instagram *struct {
		ID       text   `json:"id"`
		Username string `json:"username"`
		Name     string `json:"name"`
		Picture  string `json:"profile_picture_url"`
	} `json:"instagram_business_account"`
}

// subjects are the page and its Instagram account; both are read with the page's token.
func (n *facebookNode) subjects() []oauth.Subject {
	if n.ID == "" {
		return nil
	}
	token := jauge.Secret(n.Token)
	out := []oauth.Subject{{
		Platform: jauge.Facebook, ID: string(n.ID), Handle: n.Username, Name: n.Name, Avatar: n.Picture.Data.URL, Token: token,
	}}
	if ig := n.Instagram; ig != nil && ig.ID != "" {
		out = append(out, oauth.Subject{
			Platform: jauge.Instagram, ID: string(ig.ID), Handle: ig.Username, Name: cmp.Or(ig.Name, ig.Username), Avatar: ig.Picture, Token: token,
		})
	}
	return out
}

// facebookSubjects lists the pages of who consented, each with its own token, and the Instagram accounts behind them.
func facebookSubjects(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	c = versioned(c)
	if t.Extra[facebookKind] == facebookPage {
		return facebookOnePage(ctx, c, t)
	}
	var me facebookNode
	if err := oauth.GetJSON(ctx, c, "read user", c.Provider.Base+"/me?fields=id,name", nil, &me); err != nil {
		return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
	}
	if me.ID == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: "read user", Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	holder := oauth.Holder{ID: string(me.ID), Name: me.Name}
	var found []oauth.Subject
	seen := map[string]bool{}
	q := url.Values{"fields": {facebookPageFields + ",access_token"}, "limit": {"100"}}
	for range maxPages {
		var list struct {
			Data   []facebookNode `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
				Next exists `json:"next"`
			} `json:"paging"`
		}
		if err := oauth.GetJSON(ctx, c, "list pages", c.Provider.Base+"/me/accounts?"+q.Encode(), nil, &list); err != nil {
			return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
		}
		for i := range list.Data {
			for _, s := range list.Data[i].subjects() {
				if key := string(s.Platform) + "/" + s.ID; !seen[key] {
					seen[key] = true
					found = append(found, s)
				}
			}
		}
		// A page of the listing may be short or empty and still have a next one, whose address holds the token: it is made
		// anew from the cursor.
		after := list.Paging.Cursors.After
		if !bool(list.Paging.Next) || after == "" || after == q.Get("after") {
			break
		}
		q.Set("after", after)
	}
	return holder, found, nil
}

// facebookOnePage is the listing of a page's token, which knows no /me/accounts: /me is the page.
func facebookOnePage(ctx context.Context, c *oauth.Call, t *oauth.Token) (oauth.Holder, []oauth.Subject, error) {
	var n facebookNode
	q := url.Values{"fields": {facebookPageFields}}
	if err := oauth.GetJSON(ctx, c, "read page", c.Provider.Base+"/me?"+q.Encode(), nil, &n); err != nil {
		return oauth.Holder{}, nil, oauth.Blot(err, t.Access)
	}
	if n.ID == "" {
		return oauth.Holder{}, nil, &jauge.Error{Op: "read page", Reason: jauge.ReasonDecode, Err: errors.New("the answer names nobody")}
	}
	return oauth.Holder{ID: string(n.ID), Handle: n.Username, Name: n.Name}, n.subjects(), nil
}

// exists notes that a field is there without keeping what it holds.
type exists bool

// UnmarshalJSON is true for everything but null and an empty string.
func (e *exists) UnmarshalJSON(b []byte) error {
	*e = string(b) != "null" && string(b) != `""`
	return nil
}
