package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"jauge.dev/jauge"
)

// signer is the daemon's own key, by which it names itself where it is its own client document (private_key_jwt).
type signer struct {
	der  []byte // PKCS #8
	open crypto.PublicKey
}

// PublicKey is the open half of the daemon's own signing key (P-256), for /oauth/jwks.json: nil before Open.
func (v *Vault) PublicKey() crypto.PublicKey {
	if k := v.signer.Load(); k != nil {
		return k.open
	}
	return nil
}

// openSigner loads the signing key, or makes one: all vaults that share a store have the same.
func (v *Vault) openSigner(ctx context.Context) error {
	for range 3 {
		der, _, err := v.load(ctx, signerKey)
		if errors.Is(err, errNotThere) {
			if der, err = newSigner(); err != nil {
				return err
			}
			_, err = v.save(ctx, signerKey, der, 0)
			if errors.Is(err, jauge.ErrStale) {
				continue // another one made it at the same moment
			}
		}
		if err != nil {
			return err
		}
		k, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return errors.New("open vault: the client's signing key cannot be read")
		}
		ec, ok := k.(*ecdsa.PrivateKey)
		if !ok {
			return errors.New("open vault: the client's signing key is of another kind than P-256")
		}
		v.signer.Store(&signer{der, ec.Public()})
		return nil
	}
	return errors.New("open vault: the client's signing key changes again and again")
}

func newSigner() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the client's signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("make the client's signing key: %w", err)
	}
	return der, nil
}

// appKey is where a dialect's memory lies.
func appKey(provider, name string) string {
	sum := sha256.Sum256([]byte(name))
	return appPrefix + provider + "/" + hex.EncodeToString(sum[:])
}

// recall gives what a dialect remembered; nil where it is nothing.
func (v *Vault) recall(ctx context.Context, provider, name string) ([]byte, error) {
	plain, _, err := v.load(ctx, appKey(provider, name))
	if errors.Is(err, errNotThere) {
		return nil, nil
	}
	return plain, err
}

// remember replaces what a dialect remembered; the last one stays.
func (v *Vault) remember(ctx context.Context, provider, name string, value []byte) error {
	key := appKey(provider, name)
	for range 10 {
		_, rev, err := v.load(ctx, key)
		if err != nil && !errors.Is(err, errNotThere) {
			return err
		}
		switch {
		case value != nil:
			_, err = v.save(ctx, key, value, rev)
		case rev == 0:
			return nil
		default:
			err = v.dropAt(ctx, key, rev)
		}
		if !errors.Is(err, jauge.ErrStale) {
			return err
		}
	}
	return fmt.Errorf("remember %s: %w", key, jauge.ErrStale)
}
