package oauth

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
)

// Provider is everything that is known of an authorization server and of what its grants open, as data.
type Provider struct {
	Name      string           // as `jauge connect` takes it: "tiktok-business"
	Title     string           // as people call it: "TikTok for Business"
	App       string           // the P of its variables JAUGE_<P>_CLIENT_ID and so on: "TIKTOK_BUSINESS"
	Platforms []jauge.Platform // whose accounts its grants open; facebook opens facebook and instagram
	Ask       Ask              // what has to be typed before it is known where to send the browser
	Endpoints Endpoints        // the platform's own; the operator may replace each
	Base      string           // root of the API that answers List; replaced by JAUGE_<PLATFORM>_BASE_URL of Platforms[0]
	API       collectors.API   // "{version}" in Endpoints and Base stands for its version
	Scopes    []string         // the least that the collectors need
	// Separator stands between scopes in requests; empty: a blank. In answers, blanks and commas are both understood.
	Separator string
	Auth      AuthStyle         // how the client names itself at the token endpoint
	ClientKey string            // parameter that names the client; empty: client_id (TikTok: client_key)
	NoPKCE    bool              // the provider refuses a code challenge; else S256 is sent always
	Params    map[string]string // more parameters of the authorization address: access_type=offline
	// Slash says that the provider wants redirect addresses to end in a slash.
	Slash bool
	// NeedsApp says that an operator must have registered a client; false where the daemon is its own client
	// document (Bluesky) or registers itself (Mastodon).
	NeedsApp bool
	Renewal  Renewal
	// Dead are the error codes of the token endpoint by which the provider says that the grant itself has ended, with
	// the state and cause they lead to. Every other error leaves the grant as it was. RFC 6749 section 5.2:
	// invalid_grant.
	Dead map[string]Cause
	// Dialect speaks with the server; nil: Standard.
	Dialect Dialect
	// List asks who consented and what can be followed, in one or few authorised calls.
	List func(ctx context.Context, c *Call, t *Token) (Holder, []Subject, error)
	// Refused tells what an API answer with a status of 400 to 403 means for the grant; nil: 401 is
	// CauseTokenRefused, everything else nothing. It gets the first 64 KiB of the body.
	Refused func(status int, h http.Header, body []byte) Cause
	// Enveloped says that the API wraps its errors in answers of status 200 (TikTok Business): Refused is asked of these
	// as well, and gives CauseNone for a success.
	Enveloped bool
	// Docs is where the operator registers the client, and Hint what to mind there; both are shown.
	Docs, Hint string
}

// Ask is what a user types before the browser can be sent anywhere.
type Ask string

// What may be asked.
const (
	AskNothing  Ask = ""
	AskHandle   Ask = "handle"   // Bluesky: the account's handle tells its server
	AskInstance Ask = "instance" // Mastodon: every instance is a server of its own
)

// Endpoints are a provider's addresses; an empty Revoke means that it has none.
type Endpoints struct {
	Authorize, Token, Revoke string
	// Directory tells which server an account is on, where accounts can be on any (Bluesky: the PLC directory).
	Directory string
}

// AuthStyle says how a client names itself at the token endpoint.
type AuthStyle string

// The styles.
const (
	InParams AuthStyle = "params" // client_id and client_secret in the form
	InHeader AuthStyle = "header" // HTTP Basic
)

// Model is how a provider's tokens live on.
type Model string

// The models.
const (
	// Rotating: every refresh gives a new refresh token and spends the old one (X, TikTok, Pinterest, Bluesky).
	Rotating Model = "rotating"
	// Reusable: the refresh token stays (Google, LinkedIn).
	Reusable Model = "reusable"
	// Extend: there is no refresh token; the access token itself is exchanged for one that lives longer (Meta).
	Extend Model = "extend"
	// Reissue: there is no refresh token; the client asks for a new token in its own name (client credentials).
	Reissue Model = "reissue"
	// Static: the token lives until somebody revokes it (Mastodon, system users, TikTok ads).
	Static Model = "static"
)

// Renewal says when and how tokens are renewed.
type Renewal struct {
	Model Model
	// Share is the part of a token's life below which it is renewed: 0.2 of two hours are its last 24 minutes.
	Share float64
	// MinAge is how old a token must be before the provider renews it (Instagram: a day).
	MinAge time.Duration
	// Grace is how long after a refresh the provider still answers the spent token in the same way; 0: not at all, so
	// that a refresh whose answer was lost is never repeated. Models other than Rotating may always repeat.
	Grace time.Duration
	// Undone lists the statuses above 499 of which the provider documents that a complete answer with them means that
	// the refresh was not carried out; a lost answer is any other of them, a timeout or a broken connection.
	Undone []int
	// Life is a token's life where an answer does not tell; 0: it does not end.
	Life time.Duration
	// MaxLife bounds what is believed of expires_in; an answer beyond it is cut down to Life (or MaxLife).
	MaxLife time.Duration
}

// Token is what a provider issued. It never leaves this package and its dialects.
type Token struct {
	Access, Refresh jauge.Secret
	Type            string    // "Bearer", "DPoP"; empty: Bearer
	Issued          time.Time // UTC
	Expiry          time.Time // of Access, UTC; zero: it does not end
	RefreshExpiry   time.Time // of Refresh, UTC; zero: unknown or it does not end
	Scopes          []string  // as granted; nil where the answer does not tell: then as asked for
	Subject         string    // the provider's id of who consented where the token answer tells: sub, open_id, user_id
	// Extra keeps other fields of the answer that a dialect needs later; they are sealed with the rest.
	Extra map[string]string
}

// Holder is who consented, as the provider names them.
type Holder struct {
	ID     string // stable, unique at the provider (and server)
	Handle string
	Name   string
}

// Subject is a page, profile or channel that a grant can follow.
type Subject struct {
	Platform jauge.Platform
	ID       string // as collectors name the account: a DID, id@instance, a page id
	Handle   string
	Name     string
	Avatar   string // address of a picture; only https is shown
	// Token is the subject's own where it has one (a Facebook page's), else empty. Sealed with the rest.
	Token jauge.Secret
}

// Server is what is known of a grant's server where each has its own: found by Begin, kept with the grant, sealed.
type Server struct {
	Issuer       string // the authorization server: https://bsky.social, https://mastodon.example
	Resource     string // where API calls go: the PDS, the instance; empty: where the collector says
	Endpoints    Endpoints
	PAR          string // pushed authorization request endpoint
	ClientID     string // of the client registered there; empty: the operator's
	ClientSecret jauge.Secret
	Key          []byte            // the grant's own private key (DPoP), PKCS #8; nil where none is needed
	Nonces       map[string]string // last DPoP nonce by origin
}

// App is what the operator set for a provider.
type App struct {
	ClientID     string
	ClientSecret jauge.Secret
}

// Call is what a dialect works with.
type Call struct {
	Provider *Provider // with the operator's endpoints, scopes and base applied
	App      App
	Server   *Server // the grant's; a dialect may change it, and it is kept
	// HTTP is bounded, guarded and instrumented, and never repeats a request by itself. In List it is authorised.
	HTTP     *http.Client
	Redirect string // the redirect address of this authorization
	Public   string // JAUGE_PUBLIC_URL; empty on loopback
	// Base finds the root of an API by platform where the operator replaced it (Bluesky: the AppView), else "".
	Base func(jauge.Platform) string
	// Keys is the daemon's own signing key for private_key_jwt (PKCS #8); nil where there is none.
	ClientKey []byte
	Now       func() time.Time
	// Recall and Remember keep what a dialect needs to know longer than one authorization and for more than one grant,
	// sealed, by a name of the dialect's own (an instance and redirect address: its app registration). Recall gives nil
	// where nothing is kept; Remember replaces what is kept, and forgets it where value is nil. What a grant depends on
	// belongs in its Server as well: two replicas may remember different things, and the last one stays.
	Recall   func(ctx context.Context, name string) ([]byte, error)
	Remember func(ctx context.Context, name string, value []byte) error
}

// Start is the beginning of an authorization.
type Start struct {
	URL      string // where to send the browser
	State    string // unguessable, exact, single use
	Verifier jauge.Secret
	Expect   string // the subject that must come back where the handle told it: a DID; else ""
	Hint     string // what was typed
}

// Dialect is how a provider is spoken to. Standard is RFC 6749 with PKCE; others embed it and replace what differs. An
// answer with an OAuth error gives a *TokenError; a failure on the way gives any other error, and a refresh is then
// taken as lost unless errors.Is(err, ErrNotSent).
type Dialect interface {
	// Begin finds out where to send the browser. s has State and Verifier already, which it must use; input is what
	// was typed (see Ask).
	Begin(ctx context.Context, c *Call, s *Start, input string) error
	// Exchange trades the callback's code for a token: a long-lived one where the provider has these.
	Exchange(ctx context.Context, c *Call, s *Start, callback url.Values) (*Token, error)
	// Renew trades the old token for a new one. It sends one request that spends something, and never twice.
	Renew(ctx context.Context, c *Call, old *Token) (*Token, error)
	// Revoke ends the token at the provider; nil where the provider offers no way.
	Revoke(ctx context.Context, c *Call, t *Token) error
	// Sign puts the token on an API request, and may send it to the grant's own server. On behalf of a subject that has a
	// token of its own (Subject.Token) t is a copy whose Access is that one.
	Sign(c *Call, req *http.Request, t *Token) error
}

// Inspector is a Dialect that can ask what a token is that somebody pasted (Vault.Static): it fills in what t lacks of
// Expiry, Scopes, Subject and Extra. A token that is worth nothing gives a *TokenError, and one of another client a
// *FlowError. A zero Expiry afterwards means that the token does not end.
type Inspector interface {
	Inspect(ctx context.Context, c *Call, t *Token) error
}
