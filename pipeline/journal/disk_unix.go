//go:build unix

package journal

import "golang.org/x/sys/unix"

// space returns how much of the disk that holds dir is free for us, and its size, in bytes; ok is false where it
// cannot be told.
func space(dir string) (free, size int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return 0, 0, false
	}
	unit := int64(st.Bsize)
	return int64(st.Bavail) * unit, int64(st.Blocks) * unit, true //nolint:gosec,unconvert // types differ by system
}
