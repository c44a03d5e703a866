package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Within Config.Dir: store is the server's, and is what is put aside; lock says who has it.
const (
	storeName = "store"
	lockName  = "lock"
	markName  = "journal.json"
	dirMode   = 0o700
	fileMode  = 0o600
)

const (
	startWithin = 10 * time.Second
	maxPayload  = 1 << 20
	// maxMemory bounds streams in memory, of which there are none; left zero the server claims most of the RAM.
	maxMemory = 1 << 20
	// globalAccount is the server's name for the account of a server without accounts.
	globalAccount = "$G"
)

// startServer starts a server inside the process: no port, no signal handlers, and no acknowledgement before fsync.
func startServer(cfg Config, log *serverLog) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName:             "jauge",
		DontListen:             true,
		JetStream:              true,
		StoreDir:               filepath.Join(cfg.Dir, storeName),
		SyncAlways:             true,
		JetStreamMaxStore:      storeBound(cfg),
		JetStreamMaxMemory:     maxMemory,
		MaxPayload:             maxPayload,
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("make embedded server: %w", err)
	}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start() // returns when it has started or failed, as it has no port to listen on
	if log.fatal.Load() != nil || !srv.ReadyForConnections(startWithin) || !srv.JetStreamEnabled() {
		srv.Shutdown()
		srv.WaitForShutdown()
		if f := log.fatal.Load(); f != nil {
			return nil, fmt.Errorf("start embedded server: %s", *f)
		}
		return nil, errors.New("start embedded server: it did not become ready")
	}
	return srv, nil
}

// storeBound is what the server may take on disk: the streams and what they need beside their messages.
func storeBound(cfg Config) int64 {
	return cfg.MaxBytes + cfg.ArchiveMaxBytes + cfg.DeadMaxBytes + deadHeadroom + 256<<20
}

// ailment says what keeps the server from storing, nil where nothing does. The server itself answers a publish that
// it could not write with silence.
func ailment(srv *server.Server) error {
	if !srv.Running() {
		return errors.New("embedded server has stopped")
	}
	if !srv.JetStreamEnabled() {
		return errors.New("embedded server has switched its store off")
	}
	h := srv.Healthz(&server.HealthzOptions{Account: globalAccount})
	if h.Status != "ok" {
		return errors.New(h.Error)
	}
	return nil
}

// serverLog hands the server's own messages on to slog. The server has no business with the process: its fatal
// errors are kept, and become the error of the start.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
	alarm func() // called on every error of the server; must not block
}

func (l *serverLog) Noticef(format string, v ...any) { l.debug(format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.debug(format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.debug(format, v) }

func (l *serverLog) debug(format string, v []any) {
	l.log.Debug("journal server", "text", fmt.Sprintf(format, v...))
}

// Warnf is degraded but heals itself.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("journal server warns", "text", fmt.Sprintf(format, v...))
}

// Errorf is a warning to us, since the keeper mends what can be mended and says so where it cannot.
func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Warn("journal server reports an error", "text", fmt.Sprintf(format, v...))
	l.alarm()
}

// Fatalf keeps the message.
func (l *serverLog) Fatalf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
	l.fatal.Store(&s)
	l.alarm()
}

// mark is our own note in the server's folder of what it held: the server recovers from broken files by leaving
// streams out and says nothing.
type mark struct {
	Version int                    `json:"version"`
	Streams map[string]markedState `json:"streams"`
	// Clean says that States are those at an orderly end.
	Clean bool `json:"clean"`
}

type markedState struct {
	Messages uint64 `json:"messages"`
	Last     uint64 `json:"last_seq"`
}

func markPath(dir string) string { return filepath.Join(dir, storeName, markName) }

// readMark gives nil where there is no mark; one that cannot be read is an error of its own kind.
func readMark(dir string) (*mark, error) {
	b, err := os.ReadFile(markPath(dir)) //nolint:gosec // our own folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no mark is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read mark of journal: %w", err)
	}
	m := new(mark)
	if err := json.Unmarshal(b, m); err != nil {
		// The streams tell more than the mark does; without it they are only counted less exactly.
		return nil, nil //nolint:nilerr,nilnil // see above
	}
	return m, nil
}

// writeMark replaces the mark in one step.
func writeMark(dir string, m mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write mark of journal: %w", err)
	}
	tmp := markPath(dir) + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode) //nolint:gosec // our own folder
	if err != nil {
		return fmt.Errorf("write mark of journal: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, markPath(dir))
	}
	if err != nil {
		return fmt.Errorf("write mark of journal: %w", err)
	}
	return nil
}

// streamFolders lists the streams that lie on disk, whatever the server makes of them.
func streamFolders(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, storeName, "jetstream", globalAccount, "streams", "*"))
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

// curable tells whether a start failed for something that an operator or time mends, and not because the files are
// broken.
func curable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSPC) || isNoSpace(err) ||
		strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "read-only file system") ||
		strings.Contains(err.Error(), "too many open files")
}

// putAside renames the server's folder and returns its new path. Nothing is deleted.
func putAside(dir string, now time.Time) (string, error) {
	from := filepath.Join(dir, storeName)
	to := from + ".aside-" + now.UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(from, to); err != nil {
		return "", fmt.Errorf("put broken journal aside: %w", err)
	}
	return to, nil
}
