package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"jauge.dev/jauge"
)

const (
	rotationKey   = vaultPrefix + "rotation"
	rotationLease = 2 * time.Minute
	rotatePasses  = 5
)

// Rotate seals everything anew and tells how many records that were.
//
// Keys of a file: a new key is put before the old ones, everything is sealed by it, and the old ones are dropped once
// nothing is sealed by them. Cut off at any moment, it leaves a file that opens everything. Keys of JAUGE_VAULT_KEY:
// everything is sealed by the first one, and the others may be taken out afterwards.
func (v *Vault) Rotate(ctx context.Context) (resealed int, err error) {
	v.rotate.Lock()
	defer v.rotate.Unlock()
	if v.keys() == nil {
		return 0, errors.New("rotate vault key: the vault is not open")
	}
	lock, err := v.lockRotation(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.release(ctx)) }()
	fromFile := v.cfg.Key == ""
	if fromFile {
		if err := v.addKey(); err != nil {
			return 0, err
		}
	}
	needed, resealed, err := v.resealAll(ctx, lock)
	if err != nil {
		return resealed, fmt.Errorf("rotate vault key: %w", err)
	}
	if len(needed) > 1 {
		return resealed, &jauge.Error{
			Op: "rotate vault key", Reason: jauge.ReasonOther,
			Err:  fmt.Errorf("some records are still sealed by an older key: keys %s are needed", strings.Join(needed, ", ")),
			Hint: "keep all keys, look at the log for records that cannot be read, and rotate again",
		}
	}
	if fromFile {
		if err := lock.write(ctx); err != nil { // it was sealed by a key that goes
			return resealed, err
		}
		ring := v.keys()[:1]
		if err := writeKeyFile(v.deps.KeyFile, ring, false); err != nil {
			return resealed, err
		}
		v.ring.Store(&ring)
	}
	v.log.InfoContext(ctx, "vault key was rotated", "records", resealed, "key", v.keys()[0].id.String())
	return resealed, nil
}

// addKey makes a new first key, with all others behind it.
func (v *Vault) addKey() error {
	had, err := readKeyFile(v.deps.KeyFile)
	if err != nil {
		return fmt.Errorf("rotate vault key: %w", err)
	}
	k, err := parseKey(NewKey())
	if err != nil {
		return err
	}
	ring := append(keyring{k}, had...)
	if err := writeKeyFile(v.deps.KeyFile, ring, false); err != nil {
		return err
	}
	v.ring.Store(&ring)
	return nil
}

// resealAll seals everything by the first key, again until a whole pass finds nothing else: a writer may have had the keys
// from before. needed are the keys that records are sealed by in the end.
func (v *Vault) resealAll(ctx context.Context, lock *rotation) (needed []string, resealed int, err error) {
	for range rotatePasses {
		ids := map[string]bool{v.keys()[0].id.String(): true}
		for s, err := range v.sealedRecords(ctx) {
			if err != nil {
				return nil, resealed, fmt.Errorf("list records: %w", err)
			}
			if s.Key == rotationKey {
				continue
			}
			if err := lock.extend(ctx); err != nil {
				return nil, resealed, err
			}
			id, err := sealedBy(s.Value)
			if err != nil || id == v.keys()[0].id {
				continue
			}
			done, err := v.reseal(ctx, s)
			switch {
			case err != nil && ctx.Err() != nil:
				return nil, resealed, err
			case err != nil:
				v.log.ErrorContext(ctx, "record could not be sealed anew", "record", s.Key, "error", err)
				ids[id.String()] = true
			case done:
				resealed++
				ids[id.String()] = true // until the next pass has seen that it stays so
			}
		}
		if needed = slices.Sorted(maps.Keys(ids)); len(needed) == 1 {
			return needed, resealed, nil
		}
	}
	return needed, resealed, nil
}

// reseal seals one record by the first key; done is false where somebody else did, or it is gone.
func (v *Vault) reseal(ctx context.Context, s jauge.Sealed) (done bool, err error) {
	for try := range 10 {
		if id, err := sealedBy(s.Value); err != nil || id == v.keys()[0].id {
			return false, err
		}
		plain, err := v.keys().open(s.Key, s.Value)
		if err != nil {
			return false, err
		}
		_, err = v.saveSealed(ctx, s.Key, v.keys().seal(s.Key, plain), s.Rev)
		if err == nil {
			return true, nil
		}
		if serr := sleep(ctx, jitter(time.Duration(try+1)*20*time.Millisecond)); serr != nil {
			return false, errors.Join(err, serr)
		}
		if s, err = v.deps.Store.LoadSealed(ctx, s.Key); err != nil {
			if jauge.ReasonOf(err) == jauge.ReasonNotFound {
				return false, nil
			}
			return false, fmt.Errorf("load %s: %w", s.Key, err)
		}
	}
	return false, errors.New("it changes again and again")
}

// rotation is the right to rotate: of two that rotate at once, the key of one would be lost.
type rotation struct {
	v     *Vault
	rev   uint64
	until time.Time
}

type rotationRecord struct {
	Version int       `json:"v"`
	Stamp   string    `json:"stamp"`
	Until   time.Time `json:"until"`
}

func (v *Vault) lockRotation(ctx context.Context) (*rotation, error) {
	plain, rev, err := v.load(ctx, rotationKey)
	if err != nil && !errors.Is(err, errNotThere) {
		return nil, fmt.Errorf("rotate vault key: %w", err)
	}
	if err == nil {
		var r rotationRecord
		if derr := decode(plain, func() int { return r.Version }, &r); derr != nil {
			return nil, fmt.Errorf("rotate vault key: %w", derr)
		}
		if time.Now().Before(r.Until) {
			return nil, &jauge.Error{
				Op: "rotate vault key", Reason: jauge.ReasonOther, RetryAfter: time.Until(r.Until),
				Err:  errors.New("another rotation is under way, or was cut off a moment ago"),
				Hint: "try again in two minutes",
			}
		}
	}
	l := &rotation{v: v, rev: rev}
	return l, l.write(ctx)
}

func (l *rotation) write(ctx context.Context) error {
	until := time.Now().Add(rotationLease).UTC()
	plain, err := encode(rotationRecord{recordVersion, ulid.Make().String(), until})
	if err != nil {
		return err
	}
	rev, err := l.v.save(ctx, rotationKey, plain, l.rev)
	if err != nil {
		return fmt.Errorf("rotate vault key: take the right to: %w", err)
	}
	l.rev, l.until = rev, until
	return nil
}

// extend keeps the right while the work goes on.
func (l *rotation) extend(ctx context.Context) error {
	if time.Until(l.until) > rotationLease/2 {
		return nil
	}
	return l.write(ctx)
}

func (l *rotation) release(ctx context.Context) error {
	if l.rev == 0 {
		return nil
	}
	return l.v.dropAt(ctx, rotationKey, l.rev)
}
