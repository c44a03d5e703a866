package providers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"jauge.dev/jauge/collectors/oauth"
)

// clientID is the name under which the daemon is known to a server: the address of its own document where it is served
// under https, else that of a program on this machine, which needs no document.
func clientID(c *oauth.Call) (string, error) {
	if c.App.ClientID != "" {
		return c.App.ClientID, nil
	}
	if strings.HasPrefix(c.Public, "https://") && strings.HasPrefix(c.Redirect, c.Public+"/") {
		return c.Public + clientPath, nil
	}
	u, err := url.Parse(c.Redirect)
	if err != nil {
		return "", &oauth.FlowError{Kind: oauth.FlowBadRedirect, Err: errors.New("our redirect address is malformed")}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err != nil || !ip.IsLoopback() || u.Scheme != "http" {
		return "", &oauth.FlowError{Kind: oauth.FlowBadRedirect, Err: fmt.Errorf(
			"%s is neither under an https JAUGE_PUBLIC_URL nor on http://127.0.0.1, and Bluesky takes no other", u.Host)}
	}
	return "http://localhost?" + url.Values{"redirect_uri": {c.Redirect}, "scope": {strings.Join(c.Provider.Scopes, " ")}}.Encode(), nil
}

// confidential tells whether the client names itself by its key: where its document is the daemon's own.
func confidential(c *oauth.Call) bool {
	id := c.Client().ClientID
	return len(c.ClientKey) > 0 && c.App.ClientID == "" && strings.HasPrefix(id, "https://") && strings.HasSuffix(id, clientPath)
}

// first is the first value that is not empty.
func first[T ~string](list ...T) T {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// assert names a confidential client by a JWT that only it can have signed (RFC 7523 section 2.2), a new one for each
// request.
func assert(c *oauth.Call, form url.Values) error {
	if !confidential(c) {
		return nil
	}
	key, err := readKey(c.ClientKey)
	if err != nil {
		return err
	}
	kid, err := keyID(key.Public())
	if err != nil {
		return err
	}
	id, now := c.Client().ClientID, c.Now()
	jwt, err := signJWT(key, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid), map[string]any{
		"iss": id, "sub": id, "aud": c.Server.Issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return err
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", jwt)
	return nil
}

// keyID names a key by its thumbprint (RFC 7638).
func keyID(open crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: open}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("name key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// ClientMetadata is the document at {public}/oauth/client-metadata.json, by which authorization servers of the AT Protocol
// know the daemon. public is JAUGE_PUBLIC_URL (https), scopes are those that are asked for, key
// is the open half of the daemon's signing key.
func ClientMetadata(public string, scopes []string, key crypto.PublicKey) ([]byte, error) {
	public = strings.TrimRight(public, "/")
	if !strings.HasPrefix(public, "https://") {
		return nil, fmt.Errorf("make client metadata: %q is no https address", public)
	}
	keys, err := JWKS(key)
	if err != nil {
		return nil, fmt.Errorf("make client metadata: %w", err)
	}
	return json.MarshalIndent(map[string]any{
		"client_id":                       public + clientPath,
		"client_name":                     "jauge",
		"client_uri":                      public,
		"application_type":                "web",
		"grant_types":                     []string{"authorization_code", "refresh_token"},
		"response_types":                  []string{"code"},
		"redirect_uris":                   []string{public + callbackPath},
		"scope":                           strings.Join(scopes, " "),
		"dpop_bound_access_tokens":        true,
		"token_endpoint_auth_method":      "private_key_jwt",
		"token_endpoint_auth_signing_alg": "ES256",
		// The keys themselves rather than their address: one fetch less that can fail.
		"jwks": json.RawMessage(keys),
	}, "", "  ")
}

// JWKS is the document at {public}/oauth/jwks.json: the open half of the daemon's signing key.
func JWKS(key crypto.PublicKey) ([]byte, error) {
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok || ec == nil || ec.Curve != elliptic.P256() {
		return nil, errors.New("make key set: the key is of another kind than P-256")
	}
	kid, err := keyID(ec)
	if err != nil {
		return nil, fmt.Errorf("make key set: %w", err)
	}
	return json.MarshalIndent(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: ec, KeyID: kid, Algorithm: string(jose.ES256), Use: "sig"}}}, "", "  ")
}
