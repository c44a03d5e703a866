package state

import (
	"context"
	"database/sql"
	"strings"
	"sync"

	"jauge.dev/jauge"
)

const (
	// stemLimit bounds how many stems are ever made: platforms have a handful. Beyond it ids are kept whole.
	stemLimit = 256
	// accountMark stands for the account's id within a stem.
	accountMark = "\x01"
)

// stems shortens post ids: an at-URI bears its account's id and a collection's name, 57 of 70 bytes that are the same
// in every post of an account. A stem is never changed or deleted, so an id is always cut the same way.
type stems struct {
	mu     sync.RWMutex
	byText map[string]int64
	byID   map[int64]string
}

// postKey is a post's id as it is kept.
type postKey struct {
	stem int64
	rest string
}

func (s *stems) load(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT stem, text FROM stem")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	s.byText, s.byID = map[string]int64{}, map[int64]string{}
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		s.byText[text], s.byID[id] = id, text
	}
	return rows.Err()
}

// cut divides a post id into a stem and the rest; no stem where it has no slash.
func cut(id, account string) (stem, rest string) {
	i := strings.LastIndexByte(id, '/')
	if i < 0 || strings.Contains(id, accountMark) || account == "" {
		return "", id
	}
	return strings.ReplaceAll(id[:i+1], account, accountMark), id[i+1:]
}

func (s *stems) join(stem int64, rest, account string) string {
	if stem == 0 {
		return rest
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return strings.ReplaceAll(s.byID[stem], accountMark, account) + rest
}

// splitAll gives the kept form of every post's id, and makes the stems that are new. They are committed before the
// posts that use them.
func (s *stems) splitAll(ctx context.Context, db *sql.DB, posts []jauge.KnownPost, account string) ([]postKey, error) {
	keys := make([]postKey, len(posts))
	for i, p := range posts {
		text, rest := cut(p.ID, account)
		stem, err := s.number(ctx, db, text)
		if err != nil {
			return nil, err
		}
		if keys[i] = (postKey{stem, rest}); stem == 0 {
			keys[i].rest = p.ID
		}
	}
	return keys, nil
}

func (s *stems) number(ctx context.Context, db *sql.DB, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	s.mu.RLock()
	n, ok := s.byText[text]
	full := len(s.byText) >= stemLimit
	s.mu.RUnlock()
	if ok || full {
		return n, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.byText[text]; ok || len(s.byText) >= stemLimit {
		return n, nil
	}
	res, err := db.ExecContext(ctx, "INSERT INTO stem (text) VALUES (?)", text)
	if err != nil {
		return 0, err
	}
	if n, err = res.LastInsertId(); err != nil {
		return 0, err
	}
	s.byText[text], s.byID[n] = n, text
	return n, nil
}
