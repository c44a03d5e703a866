package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// ListenUnix listens on a unix socket that only this user may use. A socket that another process left is replaced; the
// caller must hold the lock of its directory, so that nobody is listening there.
//
// The kernel takes addresses of about a hundred bytes. A longer path is reached through the directory's descriptor: see
// SocketPath.
func ListenUnix(path string) (net.Listener, error) {
	// Made in a directory that nobody else may enter, so that it is never open to others, and then put into place.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".sock")
	if err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	defer func() { _ = os.Remove(dir) }()
	made := filepath.Join(dir, "s")
	short, done, err := SocketPath(made)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // by the path of the making, which is gone by then
	}
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil { //nolint:mnd // the owner alone
		return nil, errors.Join(fmt.Errorf("put socket %s into place: %w", path, err), l.Close(), os.Remove(made))
	}
	return &unlinking{l, path}, nil
}

// unlinking removes its socket when it is closed.
type unlinking struct {
	net.Listener

	path string
}

// Close stops listening and removes the socket.
func (u *unlinking) Close() error {
	err := u.Listener.Close()
	if e := os.Remove(u.path); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

const longestSocket = 100 // bytes of a path that every system's kernel takes as an address

// SocketPath returns a path short enough for the kernel under which the socket can be reached as long as done was not
// called: the path itself, or one that goes through an open descriptor of its directory.
func SocketPath(path string) (short string, done func(), err error) {
	if len(path) <= longestSocket {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("open the socket's directory: %w", err)
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		return "", nil, errors.Join(fmt.Errorf("%s is too long for a socket: choose a data directory with a shorter path", path), dir.Close())
	}
	return short, func() { _ = dir.Close() }, nil
}
