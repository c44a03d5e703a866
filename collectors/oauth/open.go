package oauth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"jauge.dev/jauge"
)

// Open finds the keys, proves them on what is stored, and reads the grants. It must be called before anything else, and
// the vault closed again by Close, or by the end of Run.
func (v *Vault) Open(ctx context.Context) error {
	v.mu.Lock()
	opened := v.opened
	v.mu.Unlock()
	if opened {
		return errors.New("open vault: it is open already")
	}
	if err := v.openKeys(ctx); err != nil {
		return err
	}
	if err := v.proveKeys(ctx); err != nil {
		return err
	}
	if err := v.openSigner(ctx); err != nil {
		return err
	}
	if err := v.poll(ctx); err != nil {
		return fmt.Errorf("open vault: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.life, v.kill = context.WithCancel(context.WithoutCancel(ctx))
	v.soft, v.stop = context.WithCancel(v.life)
	v.opened = true
	return nil
}

// openKeys takes the keys of the setting, or of the key file, which is made where nothing is sealed yet.
func (v *Vault) openKeys(ctx context.Context) error {
	if v.cfg.Key != "" {
		ring, err := parseKeys(v.cfg.Key.Reveal())
		if err != nil {
			return fmt.Errorf("open vault: %w", err)
		}
		v.ring.Store(&ring)
		return nil
	}
	path := v.deps.KeyFile
	if path == "" {
		return &jauge.Error{
			Op: "open vault", Reason: jauge.ReasonAuth, Err: errors.New("there is no vault key"),
			Hint: "make one by \"jauge vault key\" and give the same JAUGE_VAULT_KEY to every replica",
		}
	}
	v.tighten(path)
	ring, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		ring, err = v.makeKeyFile(ctx, path)
	}
	if err != nil {
		return err
	}
	v.ring.Store(&ring)
	return nil
}

func (v *Vault) makeKeyFile(ctx context.Context, path string) (keyring, error) {
	for s, err := range v.sealedRecords(ctx) {
		if err != nil {
			return nil, fmt.Errorf("open vault: %w", err)
		}
		if id, err := sealedBy(s.Value); err == nil {
			return nil, &jauge.Error{
				Op: "open vault", Reason: jauge.ReasonAuth,
				Err:  fmt.Errorf("%s is not there, and the grants are sealed by key %s", path, id),
				Hint: "restore the file, or set JAUGE_VAULT_KEY to that key; nothing was changed",
			}
		}
	}
	k, err := parseKey(NewKey())
	if err != nil {
		return nil, err
	}
	err = writeKeyFile(path, keyring{k}, true)
	if errors.Is(err, fs.ErrExist) { // another process was first
		return readKeyFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v.log.WarnContext(ctx, "A new vault key was made. Back this file up: whoever has it and the data directory has the "+
		"connected accounts, and without it they must all be connected again.", "file", path, "key", k.id.String())
	return keyring{k}, nil
}

// proveKeys refuses to go on where something is sealed by a key that is not at hand. The canary shows that also where
// there are no grants.
func (v *Vault) proveKeys(ctx context.Context) error {
	where := "JAUGE_VAULT_KEY"
	if v.cfg.Key == "" {
		where = v.deps.KeyFile
	}
	for s, err := range v.sealedRecords(ctx) {
		if err != nil {
			return fmt.Errorf("open vault: %w", err)
		}
		id, err := sealedBy(s.Value)
		if err != nil {
			v.log.ErrorContext(ctx, "record of the vault cannot be read", "record", s.Key, "error", err)
			continue
		}
		if v.keys().find(id) == nil && (!v.reloadKeys() || v.keys().find(id) == nil) {
			return wrongKey(id, v.keys(), where)
		}
	}
	_, _, err := v.load(ctx, canaryKey)
	if errors.Is(err, errNotThere) {
		_, err = v.save(ctx, canaryKey, []byte("jauge"), 0)
		if errors.Is(err, jauge.ErrStale) { // another one made it at the same moment
			_, _, err = v.load(ctx, canaryKey)
		}
	}
	if err != nil {
		return fmt.Errorf("open vault: prove key: %w", err)
	}
	return nil
}

// sealedRecords gives everything that the vault keeps.
func (v *Vault) sealedRecords(ctx context.Context) func(func(jauge.Sealed, error) bool) {
	return func(yield func(jauge.Sealed, error) bool) {
		for _, prefix := range prefixes() {
			for s, err := range v.deps.Store.Sealed(ctx, prefix) {
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
}

// poll brings the view up to date with the store.
func (v *Vault) poll(ctx context.Context) error {
	before := v.view.all()
	seen := map[string]bool{}
	for s, err := range v.deps.Store.Sealed(ctx, grantPrefix) {
		if err != nil {
			return fmt.Errorf("list grants: %w", err)
		}
		id := strings.TrimPrefix(s.Key, grantPrefix)
		seen[id] = true
		if have, ok := v.view.get(id); ok && have.rev >= s.Rev || v.broken.is(id, s.Rev) {
			continue
		}
		if err := v.admit(s, id); err != nil {
			v.broken.add(id, s.Rev)
			v.log.ErrorContext(ctx, "grant cannot be read and is left alone", "grant", id, "error", err)
		}
	}
	for _, e := range before {
		if id := e.rec.ID; !seen[id] {
			if _, err := v.read(ctx, id); err != nil && jauge.ReasonOf(err) != jauge.ReasonNotFound {
				return err
			}
		}
	}
	return nil
}

// admit opens a listed grant into the view.
func (v *Vault) admit(s jauge.Sealed, id string) error {
	plain, err := v.open(s.Key, s.Value)
	if err != nil {
		return err
	}
	rec, err := decodeGrant(plain)
	if err != nil {
		return err
	}
	if rec.ID != id {
		return fmt.Errorf("it says that it is grant %q", cut(rec.ID))
	}
	v.view.put(entry{rec, s.Rev})
	return nil
}
