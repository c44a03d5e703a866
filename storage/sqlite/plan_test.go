package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// TestReadsAreRangesOfTheKey asks SQLite how it would answer the reads of the pipeline: by a range of an index, and
// without sorting where one account is read.
func TestReadsAreRangesOfTheKey(t *testing.T) {
	s, err := New(Config{Path: filepath.Join(t.TempDir(), "jauge.db")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := func(more ...string) map[string][]string {
		m := map[string][]string{"platform": {"bluesky"}, "account": {"did:a"}}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = []string{more[i+1]}
		}
		return m
	}
	now := time.Now()
	for name, k := range map[string]struct {
		q         jauge.Query
		want, not string
	}{
		"posts by publication": {
			jauge.Query{Measurement: jauge.SocialPost, Match: one("brand", "acme"), From: now, To: now.Add(1)},
			"PRIMARY KEY (platform=? AND account=? AND time>? AND time<?)", "B-TREE",
		},
		"posts by id": {
			jauge.Query{Measurement: jauge.SocialPost, Match: one("post_id", "x")},
			"social_post_by_id (platform=? AND account=? AND post_id=?)", "SCAN",
		},
		"history": {
			jauge.Query{Measurement: jauge.SocialPostHistory, Match: one(), From: now},
			"PRIMARY KEY (platform=? AND account=? AND time>?)", "B-TREE",
		},
		"newest instant row": {
			jauge.Query{
				Measurement: jauge.SocialAccount, Match: one("period", "instant"), To: now, Desc: true, Limit: 1,
				Columns: []string{"followers"},
			},
			"PRIMARY KEY (platform=? AND account=? AND period=? AND time<?)", "B-TREE",
		},
		"daily": {
			jauge.Query{Measurement: jauge.SocialPostDaily, Match: one(), From: now, To: now},
			"PRIMARY KEY (platform=? AND account=? AND time>? AND time<?)", "B-TREE",
		},
		"kpis": {
			jauge.Query{Measurement: jauge.SocialKPI, Match: one("window", "day"), From: now, To: now},
			"PRIMARY KEY (platform=? AND account=? AND time>? AND time<?)", "B-TREE",
		},
	} {
		plan, err := base.NewPlan(k.q)
		if err != nil {
			t.Fatal(err)
		}
		text, named := statement(plan)
		args := make([]any, len(named))
		for i := range named {
			args[i] = named[i].Value
		}
		rows, err := p.ro.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&got, detail)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(got.String(), k.want) || strings.Contains(got.String(), k.not) {
			t.Errorf("%s: %q, want %q and no %q", name, got.String(), k.want, k.not)
		}
	}
}

// TestDurable looks at the writing connection itself: what Write acknowledges must survive a power cut.
func TestDurable(t *testing.T) {
	s, err := New(Config{Path: filepath.Join(t.TempDir(), "jauge.db")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sync int
	var mode string
	if err := p.rw.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&sync); err != nil || sync != 2 {
		t.Errorf("synchronous is %d, want 2 (FULL): %v", sync, err)
	}
	if err := p.rw.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode is %q, want wal: %v", mode, err)
	}
}
