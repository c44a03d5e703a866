package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// What the AT Protocol says of an account, each step confirming the one before; bluesky_server.go goes on from the PDS:
//
//	handle ─▶ DID (DNS, the handle's own web server, or an AppView) ─▶ document, which must name the handle ─▶ PDS
//	PDS ─▶ its metadata ─▶ issuer ─▶ its metadata, which must name the issuer

var (
	blueskyHandle = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	blueskyDID    = regexp.MustCompile(`^did:(plc:[a-z2-7]{24}|web:[a-zA-Z0-9.-]+(%3A[0-9]{1,5})?)$`)
)

const maxDocument = 256 << 10

type identity struct{ did, handle, pds string }

// identify finds out whose account is meant and where it lives. What leads nowhere is a mistake of whoever typed.
func (d blueskyDialect) identify(ctx context.Context, c *oauth.Call, input string) (identity, error) {
	typed := strings.TrimPrefix(strings.TrimSpace(input), "@")
	if h := strings.ToLower(typed); len(h) <= 253 && blueskyHandle.MatchString(h) {
		typed = h
	} else if !blueskyDID.MatchString(typed) {
		return identity{}, badInput("%q is no handle: write it like acme.bsky.social", cut(input))
	}
	who := identity{did: typed}
	if !strings.HasPrefix(typed, "did:") {
		did, err := d.resolve(ctx, c, typed)
		if err != nil {
			return identity{}, err
		}
		who = identity{did: did, handle: typed}
	}
	doc, err := readDocument(ctx, c, who.did)
	if err != nil {
		return identity{}, err
	}
	switch said := doc.handle(); {
	case who.handle == "":
		who.handle = said
	case said != who.handle:
		return identity{}, badInput("%s leads to an account that does not call itself so", who.handle)
	}
	if who.pds = doc.pds(); who.pds == "" {
		return identity{}, badInput("the account %s names no server", first(who.handle, who.did))
	}
	return who, nil
}

// resolve finds a handle's DID. An AppView that the operator set is asked first, since it may know handles that nobody else
// does; otherwise DNS and the handle's own web server are, and the public AppView where both are silent.
func (d blueskyDialect) resolve(ctx context.Context, c *oauth.Call, handle string) (string, error) {
	ways := []func() (string, error){
		func() (string, error) { return d.byDNS(ctx, handle) },
		func() (string, error) { return byWeb(ctx, c, handle) },
	}
	byView := func() (string, error) { return byAppView(ctx, c, handle) }
	if c.Base != nil && c.Base(jauge.Bluesky) != "" {
		ways = slices.Insert(ways, 0, byView)
	} else {
		ways = append(ways, byView)
	}
	var errs []error
	for _, way := range ways {
		did, err := way()
		if err == nil && blueskyDID.MatchString(did) {
			return did, nil
		}
		if ctx.Err() != nil {
			return "", &oauth.FlowError{Kind: oauth.FlowNetwork, Err: fmt.Errorf("find account: %w", ctx.Err())}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return "", badInput("nobody knows the handle %s: %w", handle, errors.Join(errs...))
}

func (d blueskyDialect) byDNS(ctx context.Context, handle string) (string, error) {
	records, err := d.lookupTXT(ctx, "_atproto."+handle)
	if err != nil {
		return "", fmt.Errorf("DNS: %w", err)
	}
	var found []string
	for _, r := range records {
		if did, ok := strings.CutPrefix(r, "did="); ok && !slices.Contains(found, did) {
			found = append(found, did)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("DNS: %d records, want one", len(found))
	}
	return found[0], nil
}

func byWeb(ctx context.Context, c *oauth.Call, handle string) (string, error) {
	body, err := readWeb(ctx, c, "https://"+handle+"/.well-known/atproto-did")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(body)), nil
}

func byAppView(ctx context.Context, c *oauth.Call, handle string) (string, error) {
	root := c.Provider.Base
	if c.Base != nil {
		root = first(c.Base(jauge.Bluesky), root)
	}
	body, err := readWeb(ctx, c, strings.TrimRight(root, "/")+xrpcPath+"com.atproto.identity.resolveHandle?"+url.Values{"handle": {handle}}.Encode())
	if err != nil {
		return "", err
	}
	var out struct {
		DID string `json:"did"`
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return "", errors.New("AppView: the answer is no JSON")
	}
	return out.DID, nil
}

// didDocument is what an account says of itself.
type didDocument struct {
	ID      string   `json:"id"`
	Aliases []string `json:"alsoKnownAs"`
	Service []struct {
		ID       string          `json:"id"`
		Type     string          `json:"type"`
		Endpoint json.RawMessage `json:"serviceEndpoint"` // a string, but other services may have objects
	} `json:"service"`
}

// readDocument asks the directory, or the host in the DID's own name.
func readDocument(ctx context.Context, c *oauth.Call, did string) (*didDocument, error) {
	address := strings.TrimRight(c.Provider.Endpoints.Directory, "/") + "/" + did
	if host, ok := strings.CutPrefix(did, "did:web:"); ok {
		host = strings.Replace(host, "%3A", ":", 1)
		address = "https://" + host + "/.well-known/did.json"
		if name, _, _ := strings.Cut(host, ":"); name == "localhost" {
			address = "http://" + host + "/.well-known/did.json"
		}
	}
	var doc didDocument
	body, err := readWeb(ctx, c, address)
	if err != nil {
		return nil, &oauth.FlowError{Kind: kindOf(err), Err: fmt.Errorf("read the account's document: %w", err)}
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.ID != did {
		return nil, &oauth.FlowError{Kind: oauth.FlowProvider, Err: errors.New("read the account's document: it is about something else")}
	}
	return &doc, nil
}

// handle is the first name that the account gives itself: no other counts.
func (d *didDocument) handle() string {
	for _, a := range d.Aliases {
		if h, ok := strings.CutPrefix(a, "at://"); ok {
			return strings.ToLower(h)
		}
	}
	return ""
}

// pds is the origin of the server that holds the account.
func (d *didDocument) pds() string {
	for _, s := range d.Service {
		var endpoint string
		if s.ID != "#atproto_pds" && s.ID != d.ID+"#atproto_pds" || s.Type != "AtprotoPersonalDataServer" ||
			json.Unmarshal(s.Endpoint, &endpoint) != nil {
			continue
		}
		if o := originOf(endpoint); o != "" {
			return o
		}
	}
	return ""
}

// readWeb reads a public document, and follows redirects as far as the client does.
func readWeb(ctx context.Context, c *oauth.Call, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, oauth.Scrub(err)
	}
	resp, err := oauth.Send(c.HTTP, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", req.URL.Host, oauth.Scrub(err))
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &jauge.Error{Op: "ask " + req.URL.Host, Reason: jauge.ReasonNotFound, Status: resp.StatusCode}
	}
	return body, nil
}

// originOf gives scheme, host and port of an address that has no more than that, where it may be called with a token:
// https, or http on this machine itself (which the guard of the HTTP client allows only where the operator does).
func originOf(address string) string {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || !safeAddress(address) || u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func safeAddress(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && onThisMachine(u.Hostname())
}

func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// kindOf tells a server that cannot be reached from one that must not be, or is not there.
func kindOf(err error) oauth.FlowKind {
	if r := jauge.ReasonOf(err); r == jauge.ReasonBadRequest || r == jauge.ReasonNotFound {
		return oauth.FlowBadInput
	}
	return oauth.FlowNetwork
}

func badInput(format string, args ...any) error {
	return &oauth.FlowError{Kind: oauth.FlowBadInput, Err: fmt.Errorf(format, args...)}
}

// cut bounds what was typed before it is shown.
func cut(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
