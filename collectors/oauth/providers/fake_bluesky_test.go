package providers_test

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

const (
	brandDID = "did:plc:aaaabbbbccccddddeeeeffff"
	pds      = "https://pds.example"
	issuer   = "https://login.example"
	document = "https://jauge.example/oauth/client-metadata.json"
)

// atproto is what a server of the AT Protocol asks beyond RFC 6749: pushed requests, and proofs with its nonce, made with
// the key that the request was pushed with.
type atproto struct {
	mu     sync.Mutex
	nonce  string          // by which proofs must be made; each origin has its own
	keys   map[string]bool // thumbprints that have pushed a request
	seen   map[string]bool // proofs
	pushed map[string]url.Values
	wrong  []string            // what was wrong with requests
	jwks   *jose.JSONWebKeySet // of a confidential client; nil for a public one
}

func newATProto() *atproto {
	return &atproto{nonce: "nonce-1", keys: map[string]bool{}, seen: map[string]bool{}, pushed: map[string]url.Values{}}
}

// fakeBluesky is an account on pds.example whose authorization server is login.example.
func fakeBluesky(a *atproto) oauthtest.Fake {
	return oauthtest.Fake{
		App: oauth.App{ClientID: document}, Input: brandDID, OwnAuthorize: true, OwnToken: true, OwnRevoke: true, Revokes: true, Withhold: "-",
		AccessLife: time.Hour,
		Endpoints:  oauth.Endpoints{Authorize: issuer + "/authorize", Token: issuer + "/token", Revoke: issuer + "/revoke"},
		Answer: func(i oauthtest.Issued) any {
			out := map[string]any{"access_token": i.Access, "token_type": "DPoP", "scope": strings.Join(i.Scopes, " "), "sub": brandDID}
			if i.ExpiresIn != nil {
				out["expires_in"] = i.ExpiresIn
			}
			if i.Refresh != "" {
				out["refresh_token"] = i.Refresh
			}
			return out
		},
		// A request that was asked for a nonce renews nothing.
		Renews: func(r *http.Request, form string) bool {
			return r.URL.Path == "/token" && strings.Contains(form, "grant_type=refresh_token") && a.judge(r, "") == ""
		},
		Bearer: func(r *http.Request) string {
			kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if kind != "DPoP" || a.judge(r, token) != "" {
				return ""
			}
			return token
		},
		RefuseAPI: func(w http.ResponseWriter, why oauthtest.Refusal) {
			switch why {
			case oauthtest.NoScope:
				oauthtest.JSON(w, http.StatusForbidden, map[string]string{"error": "ScopeMissingError", "message": "Missing required scope"})
			case oauthtest.WrongObject:
				oauthtest.JSON(w, http.StatusBadRequest, map[string]string{"error": "InvalidRequest", "message": "Profile not found"})
			default:
				w.Header().Set("WWW-Authenticate", `DPoP algs="ES256", error="invalid_token"`)
				oauthtest.JSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token", "message": "Invalid token"})
			}
		},
		Causes: map[oauthtest.Refusal]oauth.Cause{oauthtest.WrongObject: oauth.CauseNone},
		Routes: func(s *oauthtest.Server, mux *http.ServeMux) { a.routes(s, mux) },
		Probe:  pds + "/xrpc/app.bsky.actor.getProfile?actor=" + brandDID,
		Holder: oauth.Holder{ID: brandDID, Handle: "brand.example", Name: "Brand Co"},
		Subjects: []oauth.Subject{{
			Platform: jauge.Bluesky, ID: brandDID, Handle: "brand.example", Name: "Brand Co", Avatar: "https://cdn.example/a.jpg",
		}},
	}
}

func (a *atproto) routes(s *oauthtest.Server, mux *http.ServeMux) {
	documents(mux)
	mux.HandleFunc("POST login.example/par", a.guard(func(w http.ResponseWriter, r *http.Request) {
		f := r.PostForm
		if !s.Client(r) || f.Get("redirect_uri") != s.Redirect || f.Get("response_type") != "code" || f.Get("state") == "" || f.Get("login_hint") == "" ||
			f.Get("code_challenge_method") != "S256" || !strings.HasPrefix(f.Get("scope"), "atproto ") {
			oauthtest.JSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "pushed " + f.Encode()})
			return
		}
		a.mu.Lock()
		uri := fmt.Sprint("urn:ietf:params:oauth:request_uri:req-", len(a.pushed))
		a.pushed[uri] = f
		a.mu.Unlock()
		oauthtest.JSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": 299})
	}))
	mux.HandleFunc("GET login.example/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		a.mu.Lock()
		f, ok := a.pushed[q.Get("request_uri")]
		delete(a.pushed, q.Get("request_uri"))
		a.mu.Unlock()
		if !ok || len(q) != 2 || q.Get("client_id") != f.Get("client_id") {
			http.Error(w, "no such request", http.StatusBadRequest)
			return
		}
		back, err := s.Consent(strings.Fields(f.Get("scope")), f.Get("code_challenge"))
		if err != nil {
			back = url.Values{"error": {"access_denied"}}
		}
		back.Set("state", f.Get("state"))
		back.Set("iss", issuer)
		http.Redirect(w, r, s.Redirect+"?"+back.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST login.example/token", a.guard(s.Token))
	mux.HandleFunc("POST login.example/revoke", a.guard(s.Revoke))
	mux.HandleFunc("GET pds.example/xrpc/app.bsky.actor.getProfile", s.Guard("rpc:app.bsky.actor.getProfile?aud=*", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"did":%q,"handle":"brand.example","displayName":"Brand Co","avatar":"https://cdn.example/a.jpg"}`, r.FormValue("actor"))
	}))
}

// documents are what the account and its servers say of themselves.
func documents(mux *http.ServeMux) {
	mux.HandleFunc("GET plc.directory/"+brandDID, func(w http.ResponseWriter, _ *http.Request) {
		oauthtest.JSON(w, http.StatusOK, map[string]any{
			"id": brandDID, "alsoKnownAs": []string{"at://brand.example", "at://other.example"},
			"service": []map[string]any{
				{"id": "#other", "type": "Other", "serviceEndpoint": map[string]string{"a": "b"}},
				{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds},
			},
		})
	})
	mux.HandleFunc("GET pds.example/.well-known/oauth-protected-resource", func(w http.ResponseWriter, _ *http.Request) {
		oauthtest.JSON(w, http.StatusOK, map[string]any{"resource": pds, "authorization_servers": []string{issuer}})
	})
	mux.HandleFunc("GET login.example/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		oauthtest.JSON(w, http.StatusOK, metadata(nil))
	})
}

func metadata(changed map[string]any) map[string]any {
	out := map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "revocation_endpoint": issuer + "/revoke",
		"pushed_authorization_request_endpoint": issuer + "/par", "require_pushed_authorization_requests": true,
		"scopes_supported": []string{"atproto", "transition:generic"}, "code_challenge_methods_supported": []string{"S256"},
		"dpop_signing_alg_values_supported": []string{"ES256"}, "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"},
		"authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": true,
	}
	for k, v := range changed {
		out[k] = v
	}
	return out
}

// guard lets forms through that bear a good proof with the nonce, and an assertion where the client is a confidential one.
func (a *atproto) guard(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		why := a.judge(r, "")
		a.mu.Lock()
		w.Header().Set("DPoP-Nonce", a.nonce)
		if why != "" {
			a.wrong = append(a.wrong, why)
		}
		a.mu.Unlock()
		if why != "" {
			oauthtest.JSON(w, http.StatusBadRequest, map[string]string{"error": why, "error_description": "the proof is refused"})
			return
		}
		if err := r.ParseForm(); err != nil || !a.asserted(r.PostForm) {
			oauthtest.JSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "the assertion is refused"})
			return
		}
		a.mu.Lock()
		a.seen[r.Header.Get("DPoP")] = true
		a.mu.Unlock()
		h(w, r)
	}
}

// judge says what is wrong with a request's proof, as the error word of RFC 9449.
func (a *atproto) judge(r *http.Request, token string) string {
	const bad = "invalid_dpop_proof"
	a.mu.Lock()
	defer a.mu.Unlock()
	jws, err := jose.ParseSigned(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(jws.Signatures) != 1 {
		return bad
	}
	head := jws.Signatures[0].Protected
	if head.JSONWebKey == nil || !head.JSONWebKey.IsPublic() || head.ExtraHeaders["typ"] != "dpop+jwt" {
		return bad
	}
	payload, err := jws.Verify(head.JSONWebKey)
	if err != nil {
		return bad
	}
	var c struct {
		JTI, HTM, HTU, Nonce, ATH string
		IAT                       int64
	}
	sum := sha256.Sum256([]byte(token))
	host := cmp.Or(r.Host, r.URL.Host)
	switch {
	case json.Unmarshal(payload, &c) != nil, c.JTI == "", c.HTM != r.Method, c.HTU != "https://"+host+r.URL.EscapedPath(),
		time.Since(time.Unix(c.IAT, 0)).Abs() > time.Minute, a.seen[r.Header.Get("DPoP")],
		token != "" && c.ATH != base64.RawURLEncoding.EncodeToString(sum[:]), token == "" && c.ATH != "":
		return bad
	case token == "" && c.Nonce != a.nonce:
		return "use_dpop_nonce"
	}
	thumb, err := head.JSONWebKey.Thumbprint(crypto.SHA256)
	if err != nil {
		return bad
	}
	if r.URL.Path == "/par" {
		a.keys[string(thumb)] = true
	}
	if !a.keys[string(thumb)] {
		return "invalid_dpop_key_binding"
	}
	return ""
}

// asserted tells whether a confidential client has proved who it is (RFC 7523).
func (a *atproto) asserted(f url.Values) bool {
	if a.jwks == nil {
		return !f.Has("client_assertion")
	}
	jws, err := jose.ParseSigned(f.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	keys := a.jwks.Key(jws.Signatures[0].Protected.KeyID)
	if len(keys) != 1 {
		return false
	}
	payload, err := jws.Verify(keys[0])
	var c struct {
		Iss, Sub, Aud, JTI string
		Iat, Exp           int64
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil || json.Unmarshal(payload, &c) != nil || c.Iss != f.Get("client_id") || c.Sub != c.Iss || c.Aud != issuer || c.JTI == "" || a.seen[c.JTI] ||
		c.Exp <= c.Iat || c.Exp-c.Iat > 60 {
		return false
	}
	a.seen[c.JTI] = true
	return true
}
