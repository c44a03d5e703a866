package state

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed schema.sql
var schema string

//go:embed sealed.sql
var sealedSchema string

// schemaVersion is the file's user_version.
const (
	schemaVersion = 2
	sealedVersion = 2 // brought sealed.sql
)

// Config says where the memory lies and what it may cost.
type Config struct {
	// Path is the file, "state.db" in the data directory; it is set by the program, not by the environment.
	Path string
	// CacheKiB bounds the writer's page cache, in KiB; the readers take half of it each.
	CacheKiB int `env:"CACHE_KIB, default=4096"`
	// NextDue is the re-read ladder, for Rebuild: when a post is due again, zero for never. Nil: at once.
	NextDue func(published, read time.Time) time.Time
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("the path of state.db is empty: set the data directory"))
	}
	if c.CacheKiB < 64 {
		errs = append(errs, fmt.Errorf("CACHE_KIB is %d: set at least 64", c.CacheKiB))
	}
	return errors.Join(errs...)
}

// DB is the memory. It is safe for concurrent use by one process; another process must not have it open.
type DB struct {
	cfg Config
	log *slog.Logger

	write *sql.DB // one connection: writes queue here
	read  *sql.DB
	seal  *sql.DB // one connection, whose commits are on the disk
	stmts stmts
	stems stems

	fresh    bool
	aside    string
	rebuild  atomic.Bool
	damaged  atomic.Bool
	closing  sync.Once
	closeErr error
}

// New makes a memory that is not open yet. A nil logger discards.
func New(cfg Config, log *slog.Logger) (*DB, error) {
	if cfg.CacheKiB == 0 {
		cfg.CacheKiB = 4096
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &DB{cfg: cfg, log: log}, nil
}

// Open opens the file or makes it. A file that is damaged, or was found damaged in an earlier life, is put aside under
// a name with a time stamp and a new one is made: PutAside then tells that name and NeedsRebuild is true. A file of a
// newer version of jauge is an error and stays as it is.
func (d *DB) Open(ctx context.Context) error {
	if _, err := os.Stat(d.markerPath()); err == nil {
		if err := d.putAside("found damaged in an earlier run"); err != nil {
			return err
		}
	}
	err := d.open(ctx)
	if damage(err) {
		if err := d.putAside(err.Error()); err != nil {
			return err
		}
		err = d.open(ctx)
	}
	if err == nil {
		d.salvage(ctx)
	}
	return err
}

func (d *DB) open(ctx context.Context) (err error) {
	_, statErr := os.Stat(d.cfg.Path)
	d.fresh = errors.Is(statErr, os.ErrNotExist)
	for _, c := range []struct {
		to    **sql.DB
		cache int
		use   use
		conns int
	}{{&d.write, d.cfg.CacheKiB, writing, 1}, {&d.read, d.cfg.CacheKiB / 2, reading, 2}, {&d.seal, 64, sealing, 1}} {
		if *c.to, err = sql.Open("sqlite", d.dsnOf(d.cfg.Path, c.cache, c.use)); err != nil {
			return errors.Join(fmt.Errorf("open %s: %w", d.cfg.Path, err), d.closeAll())
		}
		(*c.to).SetMaxOpenConns(c.conns)
		(*c.to).SetMaxIdleConns(c.conns)
	}
	defer func() {
		if err != nil {
			_ = d.closeAll()
		}
	}()
	if err := d.migrate(ctx); err != nil {
		return fmt.Errorf("open %s: %w", d.cfg.Path, err)
	}
	if err := d.syncDir(); err != nil {
		return fmt.Errorf("open %s: %w", d.cfg.Path, err)
	}
	if err := d.stmts.prepare(ctx, d.write, d.read); err != nil {
		return fmt.Errorf("open %s: %w", d.cfg.Path, err)
	}
	if err := d.stems.load(ctx, d.read); err != nil {
		return fmt.Errorf("open %s: %w", d.cfg.Path, err)
	}
	_, pending, err := d.Get(ctx, rebuildKey)
	d.rebuild.Store(pending)
	return err
}

// use is what a connection is for.
type use int

const (
	writing use = iota
	reading
	sealing
)

func (d *DB) dsnOf(path string, cacheKiB int, to use) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	// NORMAL: in WAL mode a power cut may take the last transactions, in order, never the first of two. An older
	// memory only reads again what it has forgotten. FULL: the log is synchronised at each commit, with everything that
	// other connections put there before; a sealed record that was saved stays saved.
	sync, lock := "synchronous(NORMAL)", "immediate"
	switch to {
	case sealing:
		sync = "synchronous(FULL)"
	case reading:
		lock = "deferred"
	case writing:
	}
	q := url.Values{"_txlock": {lock}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", sync, fmt.Sprintf("cache_size(-%d)", cacheKiB),
	}}
	if to == reading {
		q.Add("_pragma", "query_only(1)")
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}).String()
}

func (d *DB) migrate(ctx context.Context) error {
	var version int
	if err := d.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch {
	case version == schemaVersion:
		// Reads the header and the root of every table: what is plainly no database is found here.
		_, err := d.write.ExecContext(ctx, "SELECT (SELECT count(*) FROM known), (SELECT max(ref) FROM account), "+
			"(SELECT max(account) FROM post), (SELECT count(*) FROM stem), (SELECT count(*) FROM sealed), (SELECT last FROM sealed_rev)")
		return err
	case version > schemaVersion:
		return fmt.Errorf("it was made by a newer jauge (version %d, this one knows %d): use that one",
			version, schemaVersion)
	}
	return d.tx(ctx, func(tx *sql.Tx) error {
		if version == 0 {
			if _, err := tx.ExecContext(ctx, schema); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO kv (key, value) VALUES (?, x'')", rebuildKey); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, sealedSchema); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	})
}

// tx runs f in one write transaction.
func (d *DB) tx(ctx context.Context, f func(*sql.Tx) error) error { return d.txOn(ctx, d.write, f) }

func (d *DB) txOn(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return d.note(err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the first error is the one that counts
		return d.note(err)
	}
	return d.note(tx.Commit())
}

// Close closes the file; it is safe to call twice and without Open.
func (d *DB) Close() error {
	d.closing.Do(func() {
		if d.write == nil {
			return
		}
		d.closeErr = d.closeAll()
	})
	return d.closeErr
}

// closeAll closes what is open.
func (d *DB) closeAll() error {
	err := d.stmts.close()
	d.stmts = stmts{}
	for _, db := range []*sql.DB{d.seal, d.read, d.write} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// Fresh tells whether Open made the file because there was none.
func (d *DB) Fresh() bool { return d.fresh }

// PutAside tells where Open put a damaged file, "" where there was none.
func (d *DB) PutAside() string { return d.aside }

// NeedsRebuild tells whether the file is new and Rebuild has not yet succeeded.
func (d *DB) NeedsRebuild() bool { return d.rebuild.Load() }

// Damaged tells whether the file was found damaged while in use; the next Open puts it aside.
func (d *DB) Damaged() bool { return d.damaged.Load() }

func (d *DB) markerPath() string { return d.cfg.Path + ".damaged" }

// note looks at an error for signs of a damaged file, marks it for the next Open and hands the error on.
func (d *DB) note(err error) error {
	if damage(err) && d.damaged.CompareAndSwap(false, true) {
		d.log.Error("scheduler's memory is damaged: restart, it is put aside and rebuilt then",
			"path", d.cfg.Path, "error", err)
		if werr := os.WriteFile(d.markerPath(), nil, 0o600); werr != nil {
			d.log.Error("could not mark the damaged memory", "path", d.markerPath(), "error", werr)
		}
	}
	return err
}

// damage tells whether an error says that the file itself is broken.
func damage(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	code := e.Code() & 0xff // the primary code; the rest is detail
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// putAside renames the file with its side files; nothing is deleted.
func (d *DB) putAside(why string) error {
	to := d.cfg.Path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		err := os.Rename(d.cfg.Path+suffix, to+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("put damaged state aside: %w", err)
		}
	}
	if err := os.Remove(d.markerPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove mark of damaged state: %w", err)
	}
	d.aside = to
	d.log.Error("scheduler's memory was damaged: put aside, a new one is made and rebuilt from the store",
		"path", d.cfg.Path, "aside", to, "why", why)
	return nil
}
