package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

const (
	lockName   = "jauge.lock"
	socketName = "jauge.sock"
	dirMode    = 0o700
	fileMode   = 0o600
)

// busyError says that another process owns the data directory.
type busyError struct {
	dir string
	pid int // 0 where the owner did not say
}

// Error names the owner.
func (e *busyError) Error() string {
	owner := "another process"
	if e.pid > 0 {
		owner = "process " + strconv.Itoa(e.pid)
	}
	return fmt.Sprintf("the data directory %s is in use by %s: stop it, or name another directory with --data-dir", e.dir, owner)
}

// dirLock is the ownership of a data directory. The kernel ends it with the process, however that ends.
type dirLock struct{ f *flock.Flock }

// takeLock makes the data directory and becomes its owner, or tells who is in a *busyError.
func takeLock(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("make the data directory: %w: name another one with --data-dir", err)
	}
	path := filepath.Join(dir, lockName)
	f := flock.New(path, flock.SetPermissions(fileMode))
	ok, err := f.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	if !ok {
		return nil, &busyError{dir, readPID(path)}
	}
	l := &dirLock{f}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), fileMode); err != nil {
		// A full disk must not keep the daemon from starting: the file is locked, only its contents are missing.
		return l, os.Truncate(path, 0)
	}
	return l, nil
}

// readPID reads who said to own the lock, 0 where nobody did.
func readPID(path string) int {
	b, err := os.ReadFile(path) //nolint:gosec // in our own data directory
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// release gives the directory up. The file stays: to remove it would let two processes own it.
func (l *dirLock) release() error {
	path := l.f.Path()
	return errors.Join(os.Truncate(path, 0), l.f.Unlock())
}
