package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"jauge.dev/jauge"
)

// holderPrefix is where it lies which grant a login has: the one place at which two replicas that connect the same login
// for the first time at the same instant meet.
const holderPrefix = "holder/"

// holderTries bounds how often the name of a login is looked at while others change it.
const holderTries = 10

func holderKey(provider, issuer, holder string) string {
	sum := sha256.Sum256([]byte(issuer + "\x00" + holder))
	return holderPrefix + provider + "/" + hex.EncodeToString(sum[:])
}

// claimHolder gives the id of the grant that a login has, and makes it that of r where it has none: by compare-and-swap,
// so that everybody is given the same.
func (v *Vault) claimHolder(ctx context.Context, r *record, h Holder) (string, error) {
	key := holderKey(r.Provider, r.Server.Issuer, h.ID)
	var last error
	for range holderTries {
		plain, rev, err := v.load(ctx, key)
		if err != nil && !errors.Is(err, errNotThere) {
			last = err
		} else {
			if id := string(plain); rev != 0 && (id == r.ID || v.holds(ctx, id, h)) {
				return id, nil
			}
			if _, err = v.save(ctx, key, []byte(r.ID), rev); err == nil {
				return r.ID, nil
			}
			last = err // somebody else was first, or nobody knows: look again
		}
		if err := sleep(ctx, jitter(storeTimeout/200)); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("find the grant of a login: %w", last)
}

// holds tells whether a grant is there, and of this login or of one that is not known yet.
func (v *Vault) holds(ctx context.Context, id string, h Holder) bool {
	e, err := v.read(ctx, id)
	if err != nil {
		return jauge.ReasonOf(err) != jauge.ReasonNotFound
	}
	return e.rec.Pending || e.rec.Holder.ID == h.ID
}

// dropHolder forgets which grant a login had; what stays is taken over by the next one.
func (v *Vault) dropHolder(ctx context.Context, r *record) {
	key := holderKey(r.Provider, r.Server.Issuer, r.Holder.ID)
	plain, rev, err := v.load(ctx, key)
	if err != nil || string(plain) != r.ID {
		return
	}
	if err := v.dropAt(ctx, key, rev); err != nil {
		v.log.DebugContext(ctx, "name of a login could not be dropped", "grant", r.ID, "error", err)
	}
}
