package providers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// DPoP (RFC 9449) binds tokens to a key: each request bears a proof, signed with the grant's own key, for its method and
// address, with the nonce that the server gave last.

const (
	nonceWanted = "use_dpop_nonce"
	// assertionLife is how long a client assertion is good for: servers take them for a minute.
	assertionLife = 50 * time.Second
)

// newKey makes a grant's key: P-256, PKCS #8.
func newKey() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return der, nil
}

func readKey(der []byte) (*ecdsa.PrivateKey, error) {
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("read key: it is not in PKCS #8")
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, errors.New("read key: it is of another kind than P-256")
	}
	return ec, nil
}

// signJWT signs claims with a key; header is typ and what else belongs into it.
func signJWT(key *ecdsa.PrivateKey, opts *jose.SignerOptions, claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return out, nil
}

// prove puts a proof on a request to its address as it is now. access is the token that the request bears, if any.
func prove(c *oauth.Call, req *http.Request, access jauge.Secret) error {
	key, err := readKey(c.Server.Key)
	if err != nil {
		return err
	}
	at := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path, RawPath: req.URL.RawPath}
	claims := map[string]any{"jti": rand.Text(), "htm": req.Method, "htu": at.String(), "iat": c.Now().Unix()}
	if n := c.Server.Nonces[origin(req.URL)]; n != "" {
		claims["nonce"] = n
	}
	if access != "" {
		sum := sha256.Sum256([]byte(access.Reveal()))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	proof, err := signJWT(key, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"), claims)
	if err != nil {
		return err
	}
	req.Header.Set("DPoP", proof)
	return nil
}

// origin is what a nonce belongs to.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// keepNonce remembers the nonce of an answer, and tells whether it is another one than was used.
func keepNonce(c *oauth.Call, u *url.URL, h http.Header) bool {
	n := h.Get("DPoP-Nonce")
	if n == "" {
		return false
	}
	fresh := c.Server.Nonces[origin(u)] != n
	if c.Server.Nonces == nil {
		c.Server.Nonces = map[string]string{}
	}
	c.Server.Nonces[origin(u)] = n
	return fresh
}

// postProven sends a form with a proof, and with an assertion where the client is a confidential one. An answer that asks
// for a nonce means that nothing was carried out (RFC 9449 section 8): then, and only then, the form is sent once more.
func postProven(ctx context.Context, c *oauth.Call, address string, form url.Values) (oauth.Answer, error) {
	for try := 0; ; try++ {
		if err := assert(c, form); err != nil {
			return oauth.Answer{}, fmt.Errorf("%w: %w", oauth.ErrNotSent, err)
		}
		req, err := oauth.FormRequest(ctx, c, address, form)
		if err != nil {
			return oauth.Answer{}, err
		}
		if err := prove(c, req, ""); err != nil {
			return oauth.Answer{}, fmt.Errorf("%w: %w", oauth.ErrNotSent, err)
		}
		a, err := oauth.Fetch(ctx, c, req)
		if err != nil {
			return a, err
		}
		if fresh := keepNonce(c, req.URL, a.Header); try > 0 || !fresh || !wantsNonce(a) {
			return a, nil
		}
	}
}

// wantsNonce tells an answer by which an authorization server asks for its nonce.
func wantsNonce(a oauth.Answer) bool {
	if a.Status != http.StatusBadRequest && a.Status != http.StatusUnauthorized {
		return false
	}
	var said struct {
		Error string `json:"error"`
	}
	return json.Unmarshal(a.Body, &said) == nil && said.Error == nonceWanted
}
