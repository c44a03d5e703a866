package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"jauge.dev/jauge/collectors/oauth"
)

// issuerOf asks a PDS which authorization server it trusts.
func issuerOf(ctx context.Context, c *oauth.Call, pds string) (string, error) {
	var meta struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := readMetadata(ctx, c, pds+"/.well-known/oauth-protected-resource", &meta); err != nil {
		return "", err
	}
	if strings.TrimRight(meta.Resource, "/") != pds || len(meta.Servers) != 1 || originOf(meta.Servers[0]) != meta.Servers[0] {
		return "", &oauth.FlowError{Kind: oauth.FlowProvider, Err: fmt.Errorf("%s does not name its authorization server", pds)}
	}
	return meta.Servers[0], nil
}

type blueskyServer struct {
	Issuer    string   `json:"issuer"`
	Authorize string   `json:"authorization_endpoint"`
	Token     string   `json:"token_endpoint"`
	Revoke    string   `json:"revocation_endpoint"`
	PAR       string   `json:"pushed_authorization_request_endpoint"`
	Scopes    []string `json:"scopes_supported"`
	PKCE      []string `json:"code_challenge_methods_supported"`
	DPoP      []string `json:"dpop_signing_alg_values_supported"`
	NamesSelf bool     `json:"authorization_response_iss_parameter_supported"`
	Documents bool     `json:"client_id_metadata_document_supported"`
}

// readServer reads an authorization server's metadata (RFC 8414), and refuses one that does less than the AT Protocol asks.
func readServer(ctx context.Context, c *oauth.Call, issuer string) (*blueskyServer, error) {
	m := &blueskyServer{}
	if err := readMetadata(ctx, c, issuer+"/.well-known/oauth-authorization-server", m); err != nil {
		return nil, err
	}
	wrong := ""
	switch {
	case m.Issuer != issuer:
		wrong = "it names another issuer"
	case !safeAddress(m.Authorize) || !safeAddress(m.Token) || !safeAddress(m.PAR) || m.Revoke != "" && !safeAddress(m.Revoke):
		wrong = "its endpoints are missing or not https"
	case !slices.Contains(m.PKCE, "S256"), !slices.Contains(m.DPoP, "ES256"), !m.NamesSelf, !m.Documents, !slices.Contains(m.Scopes, "atproto"):
		wrong = "it does not do what the AT Protocol asks"
	}
	if wrong != "" {
		return nil, &oauth.FlowError{Kind: oauth.FlowProvider, Err: fmt.Errorf("metadata of %s: %s", issuer, wrong)}
	}
	return m, nil
}

// readMetadata reads a document that must be there itself: a redirect would let another server speak for this one.
func readMetadata(ctx context.Context, c *oauth.Call, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return &oauth.FlowError{Kind: oauth.FlowProvider, Err: oauth.Scrub(err)}
	}
	req.Header.Set("Accept", "application/json")
	a, err := oauth.Fetch(ctx, c, req)
	if err != nil {
		return &oauth.FlowError{Kind: kindOf(err), Err: fmt.Errorf("read metadata: %w", err)}
	}
	if a.Status != http.StatusOK {
		return &oauth.FlowError{Kind: oauth.FlowProvider, Err: fmt.Errorf("read metadata of %s: status %d", req.URL.Host, a.Status)}
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return &oauth.FlowError{Kind: oauth.FlowProvider, Err: fmt.Errorf("read metadata of %s: it is not as documented", req.URL.Host)}
	}
	return nil
}
