package providers

import (
	"context"

	"jauge.dev/jauge/collectors/oauth"
)

// KeepNonce is what the vault does with the nonce of an answer.
var KeepNonce = keepNonce

// BlueskyWith is Bluesky's dialect with another DNS.
func BlueskyWith(lookupTXT func(ctx context.Context, name string) ([]string, error)) oauth.Dialect {
	return blueskyDialect{lookupTXT: lookupTXT}
}

// Inner parts that rules are tested by.
var (
	Bound    = bound
	ClientID = clientID
)
