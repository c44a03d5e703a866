package oauthtest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"jauge.dev/jauge/collectors/oauth"
)

// Fake is what is particular about a provider's server, as data. The zero value of a field is the standard.
type Fake struct {
	// App is the client that the server knows; a default is made.
	App oauth.App
	// Input is what is typed where the provider asks: a handle, an instance.
	Input string
	// Endpoints are the addresses that the server serves where they are not the provider's own (each instance has its).
	Endpoints oauth.Endpoints
	// Law is what the platform demands, said anew: without it the server would believe whatever the provider's data says.
	Law *Law
	// CodeLife, AccessLife and RefreshLife are lifetimes; defaults: a minute, Renewal.Life or an hour, 60 days.
	CodeLife, AccessLife, RefreshLife time.Duration
	// NoRefresh: no refresh token is issued.
	NoRefresh bool
	// Repeats: a reusable refresh token stands in every answer, not in the first alone.
	Repeats bool
	// OwnToken says that Routes serves the token endpoint, OwnAuthorize the consent page, OwnRevoke the revocation.
	OwnToken, OwnAuthorize, OwnRevoke bool
	// Revokes says that Dialect.Revoke ends tokens; it is so anyway where there is a revocation endpoint.
	Revokes bool
	// Challenge makes the code challenge of a verifier where it is not that of RFC 7636.
	Challenge func(verifier string) string
	// Answer makes the body of a token answer, for json.Marshal.
	Answer func(i Issued) any
	// Refuse answers a token request that is refused, RefuseAPI an API request.
	Refuse, RefuseAPI func(w http.ResponseWriter, why Refusal)
	// Bearer finds the access token of an API request.
	Bearer func(r *http.Request) string
	// Renews tells whether a request to whatever address renews a token; form is its body. Default: a refresh_token or
	// client_credentials grant at the token endpoint.
	Renews func(r *http.Request, form string) bool
	// Routes serves the API, on patterns with method, host and path.
	Routes func(s *Server, mux *http.ServeMux)
	// Probe is the address of an authorised GET, as a collector would send it.
	Probe string
	// Withhold is the scope that the user unticks in the case of a missing scope; default: the last one. "-" where the
	// provider lets nobody untick, or does not tell.
	Withhold string
	// Holder and Subjects are what List must find, without Subject.Token.
	Holder   oauth.Holder
	Subjects []oauth.Subject
	// Causes say what Provider.Refused must make of RefuseAPI; default: the cause of the same name.
	Causes map[Refusal]oauth.Cause
}

// Law is what a platform demands of its clients, whatever our data of it says.
type Law struct {
	Auth      oauth.AuthStyle
	ClientKey string // empty: client_id
	Separator string // empty: a blank
	NoPKCE    bool   // challenge and verifier are refused
	Model     oauth.Model
	// Offline tells from the query of the authorization whether a refresh token is issued; nil: always.
	Offline func(q url.Values) bool
}

func lawOf(p *oauth.Provider) *Law {
	return &Law{Auth: p.Auth, ClientKey: p.ClientKey, Separator: p.Separator, NoPKCE: p.NoPKCE, Model: p.Renewal.Model}
}

// Refusal is why a request is refused.
type Refusal string

// Why token requests are refused.
const (
	BadCode     Refusal = "code"     // expired, used, or unknown
	BadVerifier Refusal = "verifier" // PKCE
	BadRedirect Refusal = "redirect" // not the address of the authorization
	BadClient   Refusal = "client"
	BadRefresh  Refusal = "refresh" // spent, revoked, expired or unknown; of Extend: the access token
	BadRequest  Refusal = "request"
	Broken      Refusal = "broken" // the server's own fault: 500
	Down        Refusal = "down"   // 503
	Slow        Refusal = "slow"   // 429, with Retry-After
)

// Why API requests are refused.
const (
	TokenExpired Refusal = "expired"
	TokenRevoked Refusal = "revoked" // or unknown
	NoScope      Refusal = "scope"
	WrongObject  Refusal = "object" // the token is good, but not for what is asked for
)

// Issued is what a token answer tells.
type Issued struct {
	Access, Refresh string // Refresh is empty where the answer has none
	ExpiresIn       any    // seconds; a case may make it absurd
	RefreshIn       int64  // seconds
	Scopes          []string
	Renewal         bool // false: the answer to a code
}

func (f Fake) withDefaults(p *oauth.Provider) Fake {
	if f.App.ClientID == "" {
		f.App = oauth.App{ClientID: "client-of-the-suite", ClientSecret: "secret-of-the-suite+/="}
	}
	if f.Law == nil {
		f.Law = lawOf(p)
	}
	f.Endpoints.Authorize = cmp.Or(f.Endpoints.Authorize, p.Endpoints.Authorize)
	f.Endpoints.Token = cmp.Or(f.Endpoints.Token, p.Endpoints.Token)
	f.Endpoints.Revoke = cmp.Or(f.Endpoints.Revoke, p.Endpoints.Revoke)
	f.CodeLife = cmp.Or(f.CodeLife, time.Minute)
	f.AccessLife = cmp.Or(f.AccessLife, p.Renewal.Life, time.Hour)
	f.RefreshLife = cmp.Or(f.RefreshLife, 60*24*time.Hour)
	if f.Withhold == "" && len(p.Scopes) > 0 {
		f.Withhold = p.Scopes[len(p.Scopes)-1]
	}
	if f.Challenge == nil {
		f.Challenge = s256
	}
	if f.Answer == nil {
		f.Answer = Standard
	}
	if f.Refuse == nil {
		f.Refuse = Refuse
	}
	if f.RefuseAPI == nil {
		f.RefuseAPI = RefuseAPI
	}
	if f.Bearer == nil {
		f.Bearer = Bearer
	}
	if f.Renews == nil {
		token := f.Endpoints.Token
		f.Renews = func(r *http.Request, form string) bool {
			return strings.HasPrefix(token, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path) &&
				(strings.Contains(form, "grant_type=refresh_token") || strings.Contains(form, "grant_type=client_credentials"))
		}
	}
	causes := map[Refusal]oauth.Cause{
		TokenExpired: oauth.CauseTokenRefused, TokenRevoked: oauth.CauseTokenRefused, NoScope: oauth.CauseScope, WrongObject: oauth.CauseWrongObject,
	}
	for why, c := range f.Causes {
		causes[why] = c
	}
	f.Causes = causes
	return f
}

// Standard is a token answer as RFC 6749 section 5.1 has it.
func Standard(i Issued) any {
	a := map[string]any{"access_token": i.Access, "token_type": "Bearer", "scope": strings.Join(i.Scopes, " ")}
	if i.ExpiresIn != nil {
		a["expires_in"] = i.ExpiresIn
	}
	if i.Refresh != "" {
		a["refresh_token"] = i.Refresh
	}
	return a
}

// Refuse answers as RFC 6749 section 5.2 has it.
func Refuse(w http.ResponseWriter, why Refusal) {
	status, code := http.StatusBadRequest, "invalid_grant"
	switch why {
	case BadClient:
		status, code = http.StatusUnauthorized, "invalid_client"
	case BadRequest:
		code = "invalid_request"
	case Broken:
		status, code = http.StatusInternalServerError, "server_error"
	case Down:
		status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
	case Slow:
		status, code = http.StatusTooManyRequests, "slow_down"
	}
	text := "the suite refuses: " + string(why)
	if why == BadRedirect {
		text = "the redirect address is not that of the request"
	}
	JSON(w, status, map[string]any{"error": code, "error_description": text})
}

// RefuseAPI answers as RFC 6750 section 3.1 has it.
func RefuseAPI(w http.ResponseWriter, why Refusal) {
	status, code := http.StatusUnauthorized, "invalid_token"
	switch why {
	case NoScope:
		status, code = http.StatusForbidden, "insufficient_scope"
	case WrongObject:
		status, code = http.StatusForbidden, "forbidden"
	}
	w.Header().Set("WWW-Authenticate", `Bearer error="`+code+`"`)
	JSON(w, status, map[string]any{"error": code})
}

// Bearer reads the Authorization header.
func Bearer(r *http.Request) string {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if kind != "Bearer" {
		return ""
	}
	return token
}

// JSON writes an answer.
func JSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a recorder takes everything
}
