package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// openSession opens a session; a store that cannot be opened, or came back without its streams, is put aside first.
func (j *Journal) openSession(ctx context.Context) (*session, error) {
	if !j.embedded() {
		return j.begin(ctx, nil)
	}
	m, err := readMark(j.cfg.Dir)
	if err != nil {
		return nil, err
	}
	expected := streamFolders(j.cfg.Dir)
	if m != nil {
		expected = append(expected, slices.Collect(maps.Keys(m.Streams))...)
		slices.Sort(expected)
		expected = slices.Compact(expected)
	}
	s, err := j.startAndBegin(ctx, expected)
	switch {
	case err == nil:
		j.compare(ctx, s, m)
		return s, j.note(ctx, s, false)
	case ctx.Err() != nil || diskFull(j.cfg, err) || curable(err):
		return nil, err
	case !errors.Is(err, errBroken):
		return nil, err
	}
	aside, moved := putAside(j.cfg.Dir, time.Now())
	if moved != nil {
		return nil, errors.Join(err, moved)
	}
	j.log.Error("journal could not be opened and was put aside, a new one is begun", "kept_in", aside, "error", err.Error())
	j.mu.Lock()
	j.aside = aside
	j.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(j.cfg.Dir, storeName), dirMode); err != nil {
		return nil, fmt.Errorf("make folder of journal: %w", err)
	}
	if s, err = j.startAndBegin(ctx, nil); err != nil {
		return nil, err
	}
	return s, j.note(ctx, s, false)
}

// errBroken marks what only putting the store aside helps against.
var errBroken = errors.New("journal's files are broken")

func (j *Journal) startAndBegin(ctx context.Context, expected []string) (*session, error) {
	log := &serverLog{log: j.log, alarm: j.look}
	srv, err := startServer(j.cfg, log)
	if err != nil {
		if curable(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	s, err := j.checkAndBegin(ctx, srv, expected)
	if err != nil {
		return nil, errors.Join(err, shutDown(context.WithoutCancel(ctx), srv))
	}
	return s, nil
}

func (j *Journal) checkAndBegin(ctx context.Context, srv *server.Server, expected []string) (*session, error) {
	if len(expected) > 0 {
		if err := j.checkStreams(ctx, srv, expected); err != nil {
			return nil, err
		}
	}
	return j.begin(ctx, srv)
}

func (j *Journal) checkStreams(ctx context.Context, srv *server.Server, expected []string) error {
	nc, err := j.connect(srv)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(j.cfg.Timeout))
	if err != nil {
		return fmt.Errorf("connect to journal: %w", err)
	}
	gone, err := missing(ctx, js, expected)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		return fmt.Errorf("%w: the server did not recover %v", errBroken, gone)
	}
	return nil
}

// note writes the mark. Without space the old mark stays, which expects the same streams.
func (j *Journal) note(ctx context.Context, s *session, clean bool) error {
	m := mark{Version: 1, Streams: map[string]markedState{}, Clean: clean}
	for _, st := range []jetstream.Stream{s.work, s.archive, s.dead} {
		info := st.CachedInfo()
		if clean {
			fresh, err := st.Info(ctx)
			if err != nil {
				return fmt.Errorf("write mark of journal: %w", err)
			}
			info = fresh
		}
		m.Streams[info.Config.Name] = markedState{Messages: info.State.Msgs, Last: info.State.LastSeq}
	}
	if err := writeMark(j.cfg.Dir, m); err != nil && !diskFull(j.cfg, err) {
		return err
	}
	return nil
}

// compare says what is gone since an orderly end: the server drops what it cannot read without a word. The archive
// may shrink by age.
func (j *Journal) compare(ctx context.Context, s *session, m *mark) {
	var errs []error
	for _, st := range []jetstream.Stream{s.work, s.archive, s.dead} {
		info, err := st.Info(ctx)
		if err != nil {
			continue // the keeper sees to a server that does not answer
		}
		name := info.Config.Name
		if l := info.State.Lost; l != nil && len(l.Msgs) > 0 {
			errs = append(errs, fmt.Errorf("%s lost %d messages to unreadable files", name, len(l.Msgs)))
			continue
		}
		if m == nil || !m.Clean || name == archiveStream {
			continue
		}
		if was := m.Streams[name]; info.State.Msgs < was.Messages {
			errs = append(errs, fmt.Errorf("%s holds %d messages where %d were left", name, info.State.Msgs, was.Messages))
		}
	}
	if err := errors.Join(errs...); err != nil {
		j.log.Error("journal lost messages to damage on disk", "error", err.Error())
		j.mu.Lock()
		j.lost = err
		j.mu.Unlock()
	}
}
