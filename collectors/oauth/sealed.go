package oauth

import (
	"context"
	"errors"
	"fmt"

	"jauge.dev/jauge"
)

// errNotThere says that a record is not in the store.
var errNotThere = errors.New("record is not there")

// keys are the keys that count now: those of the setting, or of the file as it is now, since another process may be
// rotating it.
func (v *Vault) keys() keyring {
	r := v.ring.Load()
	if r == nil {
		return nil
	}
	return *r
}

// reloadKeys reads the key file again where there is one, and tells whether it holds other keys than before.
func (v *Vault) reloadKeys() bool {
	if v.cfg.Key != "" || v.deps.KeyFile == "" {
		return false
	}
	ring, err := readKeyFile(v.deps.KeyFile)
	if err != nil {
		v.log.Warn("vault key could not be read again", "error", err)
		return false
	}
	had := v.keys()
	if ring.ids() == had.ids() {
		return false
	}
	v.ring.Store(&ring)
	v.log.Info("vault keys have changed", "first", ring[0].id.String(), "keys", len(ring))
	return true
}

// load reads and opens a record. It gives errNotThere where there is none.
func (v *Vault) load(ctx context.Context, key string) (plain []byte, rev uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	s, err := v.deps.Store.LoadSealed(ctx, key)
	if err != nil {
		if jauge.ReasonOf(err) == jauge.ReasonNotFound {
			return nil, 0, errNotThere
		}
		return nil, 0, fmt.Errorf("load %s: %w", key, err)
	}
	plain, err = v.open(key, s.Value)
	if err != nil {
		return nil, s.Rev, fmt.Errorf("open %s: %w", key, err)
	}
	return plain, s.Rev, nil
}

// open decrypts a record; where no key opens it, another process may have rotated them.
func (v *Vault) open(key string, sealed []byte) ([]byte, error) {
	plain, err := v.keys().open(key, sealed)
	if _, unknown := errors.AsType[*unknownKeyError](err); unknown && v.reloadKeys() {
		return v.keys().open(key, sealed)
	}
	return plain, err
}

// save seals and writes a record. jauge.ErrStale says that it is at another revision; any other error that nobody knows
// whether it was written.
func (v *Vault) save(ctx context.Context, key string, plain []byte, rev uint64) (uint64, error) {
	v.reloadKeys()
	ring := v.keys()
	rev, err := v.saveSealed(ctx, key, ring.seal(key, plain), rev)
	if err != nil {
		return 0, err
	}
	// Keys may have been rotated since: the one that sealed this may be gone before anybody reads it.
	if v.reloadKeys() && v.keys()[0].id != ring[0].id {
		again, err := v.saveSealed(ctx, key, v.keys().seal(key, plain), rev)
		if err == nil {
			return again, nil
		}
		v.log.WarnContext(ctx, "record is still sealed by the key before", "record", key, "error", err)
	}
	return rev, nil
}

func (v *Vault) saveSealed(ctx context.Context, key string, sealed []byte, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rev, err := v.deps.Store.SaveSealed(ctx, key, sealed, rev)
	if err != nil {
		return 0, fmt.Errorf("save %s: %w", key, err)
	}
	return rev, nil
}

// dropAt removes a record at a revision; one that is gone is no error.
func (v *Vault) dropAt(ctx context.Context, key string, rev uint64) error {
	err := v.remove(ctx, key, rev)
	if errors.Is(err, errNotThere) {
		return nil
	}
	return err
}

// remove is dropAt that gives errNotThere for a record that is gone.
func (v *Vault) remove(ctx context.Context, key string, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := v.deps.Store.DropSealed(ctx, key, rev)
	switch {
	case err == nil:
		return nil
	case jauge.ReasonOf(err) == jauge.ReasonNotFound:
		return errNotThere
	}
	return fmt.Errorf("drop %s: %w", key, err)
}
