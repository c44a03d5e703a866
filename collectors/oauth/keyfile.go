package oauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// keyFileMode is all that a key file may allow: its owner reads and writes it.
const keyFileMode fs.FileMode = 0o600

// readKeyFile reads the keys of a file: one a line, the first one seals. A file that others may read is refused.
func readKeyFile(path string) (keyring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read vault key: %w", err)
	}
	if loose(info) {
		return nil, &jauge.Error{
			Op: "read vault key", Reason: jauge.ReasonAuth,
			Err:  fmt.Errorf("%s may be read by others (mode %04o)", path, info.Mode().Perm()),
			Hint: "chmod 600 " + path,
		}
	}
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("read vault key: %w", err)
	}
	ring, err := parseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("read vault key from %s: %w", path, err)
	}
	return ring, nil
}

// loose tells whether others may read or change a file.
func loose(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
}

// tighten takes a key file's rights from others, as a copy of a data directory may have given them, and says so. Where it
// cannot, reading the file refuses.
func (v *Vault) tighten(path string) {
	info, err := os.Stat(path)
	if err != nil || !loose(info) {
		return
	}
	if err := os.Chmod(path, keyFileMode); err == nil {
		v.log.Warn("vault key could be read by others, now it cannot; if others use this machine, change it: jauge vault rotate",
			"file", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
}

// writeKeyFile puts keys into a file: durable and whole, or not at all. With fresh it must not be there yet, and
// fs.ErrExist is returned where it is.
func writeKeyFile(path string, ring keyring, fresh bool) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".vault-key-*") // made with O_EXCL and mode 0600
	if err != nil {
		return fmt.Errorf("write vault key: %w", err)
	}
	defer func() {
		if rerr := os.Remove(tmp.Name()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove temporary vault key: %w", rerr))
		}
	}()
	_, werr := tmp.WriteString(keyFileText(ring))
	if err := errors.Join(werr, tmp.Chmod(keyFileMode), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write vault key: %w", err)
	}
	if err := place(tmp.Name(), path, fresh); err != nil {
		return fmt.Errorf("write vault key: %w", err)
	}
	return syncDir(dir)
}

// place gives a finished file its name. A link never replaces what is there; file systems without links get a rename
// after a look.
func place(tmp, path string, fresh bool) error {
	if !fresh {
		return os.Rename(tmp, path)
	}
	err := os.Link(tmp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, serr := os.Lstat(path); !errors.Is(serr, fs.ErrNotExist) {
		return fs.ErrExist
	}
	return os.Rename(tmp, path)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the path is the operator's
	if err != nil {
		return fmt.Errorf("write vault key: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("write vault key: %w", err)
	}
	return nil
}

func keyFileText(ring keyring) string {
	var b strings.Builder
	b.WriteString("# Keys of jauge's vault. The first one seals, all of them open.\n")
	b.WriteString("# Back this file up: whoever has it and the data directory has the connected accounts.\n")
	fmt.Fprintf(&b, "# Written %s.\n", time.Now().UTC().Format(time.RFC3339))
	for _, k := range ring {
		fmt.Fprintf(&b, "%s # %s\n", k.text, k.id)
	}
	return b.String()
}
