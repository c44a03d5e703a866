package influx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// schemaMeasurement keeps the version of the stored shape, one row for each change.
const schemaMeasurement = "jauge_schema"

// Open finds or makes the buckets, says where they keep rows otherwise than they should, and checks the version of
// what is stored. It may be repeated until it succeeds; every other call does it first where it has not been done, or
// where a bucket has gone.
func (s *Store) Open(ctx context.Context) error { return s.open(ctx) }

func (s *Store) open(ctx context.Context) error {
	if s.isReady() {
		return nil
	}
	if err := s.opening.Enter(ctx); err != nil {
		return s.explain("open the InfluxDB store", err)
	}
	defer s.opening.Leave()
	if s.isReady() {
		return nil
	}
	if s.closed {
		return &jauge.Error{Op: "use the InfluxDB store", Reason: jauge.ReasonCanceled, Err: errors.New("it is closed")}
	}
	for _, b := range []*bucket{s.main, s.history} {
		if err := s.ensure(ctx, b); err != nil {
			s.meter.Failed(base.OpOpen, err)
			return err
		}
	}
	if err := s.checkVersion(ctx); err != nil {
		s.meter.Failed(base.OpOpen, err)
		return err
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	s.log.InfoContext(ctx, "opened the InfluxDB store", "url", s.base, "bucket", s.main.name, "history_bucket", s.history.name)
	return nil
}

func (s *Store) isReady() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ready
}

// bucketInfo is a bucket as the server tells of it.
type bucketInfo struct {
	ID             string `json:"id,omitempty"`
	OrgID          string `json:"orgID,omitempty"`
	Name           string `json:"name"`
	RetentionRules []rule `json:"retentionRules"`
}

type rule struct {
	Type  string `json:"type"`
	Every int64  `json:"everySeconds"`
	Shard int64  `json:"shardGroupDurationSeconds"`
}

// keep gives the retention, 0 for ever, and the length of the shards, 0 where the server does not tell.
func (b *bucketInfo) keep() (keep, shard time.Duration) {
	if len(b.RetentionRules) == 0 {
		return 0, 0
	}
	r := b.RetentionRules[0]
	return time.Duration(r.Every) * time.Second, time.Duration(r.Shard) * time.Second
}

func (s *Store) ensure(ctx context.Context, b *bucket) error {
	found, err := s.find(ctx, b.name)
	if err != nil {
		return err
	}
	if found == nil {
		if found, err = s.create(ctx, b); err != nil {
			return err
		}
	}
	keep, shard := found.keep()
	s.mu.Lock()
	b.kept = keep
	s.mu.Unlock()
	s.warn(ctx, b, found.ID, keep, shard)
	return nil
}

// find looks for a bucket; it gives nil where there is none.
func (s *Store) find(ctx context.Context, name string) (*bucketInfo, error) {
	var answer struct {
		Buckets []bucketInfo `json:"buckets"`
	}
	err := s.call(ctx, "find bucket "+name, http.MethodGet, "/api/v2/buckets",
		url.Values{"org": {s.cfg.Org}, "name": {name}}, nil, &answer)
	e, ok := errors.AsType[*jauge.Error](err)
	switch {
	case ok && e.Reason == jauge.ReasonNotFound && e.Code == "not found":
		return nil, nil //nolint:nilnil // none is an answer
	case ok && e.Reason == jauge.ReasonNotFound:
		e.Hint = "this answers like no InfluxDB 2.x, which jauge needs for writing: look at URL"
		return nil, e
	case err != nil:
		return nil, err
	}
	for i := range answer.Buckets {
		if answer.Buckets[i].Name == name {
			return &answer.Buckets[i], nil
		}
	}
	return nil, nil //nolint:nilnil // none is an answer
}

func (s *Store) create(ctx context.Context, b *bucket) (*bucketInfo, error) {
	op := "make bucket " + b.name
	hint := fmt.Sprintf("make it yourself: influx bucket create --org %q --name %q --retention %ds --shard-group-duration %ds, "+
		"or give a token that may", s.cfg.Org, b.name, int64(b.want.Seconds()), int64(b.shard.Seconds()))
	var orgs struct {
		Orgs []struct{ ID, Name string } `json:"orgs"`
	}
	err := s.call(ctx, "find organisation "+s.cfg.Org, http.MethodGet, "/api/v2/orgs", url.Values{"org": {s.cfg.Org}}, nil, &orgs)
	if err != nil {
		if e, ok := errors.AsType[*jauge.Error](err); ok && e.Reason == jauge.ReasonNotFound {
			e.Hint = "the server has no such organisation, or the token may not see it: look at ORG; if it exists, " + hint
		}
		return nil, err
	}
	if len(orgs.Orgs) == 0 {
		return nil, &jauge.Error{
			Op: op, Reason: jauge.ReasonNotFound, Err: fmt.Errorf("the token sees no organisation %q", s.cfg.Org), Hint: hint,
		}
	}
	made := &bucketInfo{OrgID: orgs.Orgs[0].ID, Name: b.name, RetentionRules: []rule{
		{Type: "expire", Every: int64(b.want.Seconds()), Shard: int64(b.shard.Seconds())},
	}}
	if err := s.call(ctx, op, http.MethodPost, "/api/v2/buckets", nil, made, made); err != nil {
		e, ok := errors.AsType[*jauge.Error](err)
		if ok && e.Status == http.StatusUnprocessableEntity { // somebody else has just made it
			if found, ferr := s.find(ctx, b.name); ferr == nil && found != nil {
				return found, nil
			}
		}
		if ok && (e.Reason == jauge.ReasonAuth || e.Reason == jauge.ReasonScope) {
			e.Hint = "the token may not make buckets: " + hint
		}
		return nil, err
	}
	s.log.InfoContext(ctx, "made a bucket", "bucket", b.name, "retention_seconds", int64(b.want.Seconds()),
		"shard_seconds", int64(b.shard.Seconds()))
	return made, nil
}

// warn says where a bucket that was found keeps rows otherwise than it should, what that means and what to do.
func (s *Store) warn(ctx context.Context, b *bucket, id string, keep, shard time.Duration) {
	if b == s.main {
		if keep > 0 {
			s.log.ErrorContext(ctx, "the main bucket drops old days: rows older than its retention are refused or will be lost",
				"bucket", b.name, "retention", keep.String(), "hint", "influx bucket update --id "+id+" --retention 0")
		}
		if shard > 0 && shard < 52*week {
			s.log.WarnContext(ctx, "the main bucket has short shards: daily rows take up to five times the space, and reads of years are slow",
				"bucket", b.name, "shard", shard.String(),
				"hint", "influx bucket update --id "+id+" --shard-group-duration 8760h; what is stored stays as it is")
		}
		return
	}
	hint := fmt.Sprintf("influx bucket update --id %s --retention %ds", id, int64(b.want.Seconds()))
	switch {
	case keep > 0 && keep < b.want:
		s.log.WarnContext(ctx, "the history bucket keeps rows for a shorter time than configured: readings older than that are not taken",
			"bucket", b.name, "retention", keep.String(), "configured", b.want.String(), "hint", hint)
	case keep == 0 || keep > b.want:
		s.log.WarnContext(ctx, "the history bucket keeps rows longer than configured: it grows with every reading",
			"bucket", b.name, "retention", keepText(keep), "configured", b.want.String(), "hint", hint)
	}
	if shard > 4*week {
		s.log.WarnContext(ctx, "the history bucket has long shards: old rows go only when a whole shard is past its retention",
			"bucket", b.name, "shard", shard.String(),
			"hint", fmt.Sprintf("influx bucket update --id %s --shard-group-duration %ds", id, int64(b.shard.Seconds())))
	}
}

func keepText(keep time.Duration) string {
	if keep == 0 {
		return "for ever"
	}
	return keep.String()
}

// checkVersion refuses a bucket that a newer program has written, and notes this program's version in an older one.
func (s *Store) checkVersion(ctx context.Context) error {
	version, err := s.version(ctx)
	switch {
	case err != nil:
		return err
	case version == jauge.SchemaVersion:
		return nil
	case version > jauge.SchemaVersion:
		return &jauge.Error{
			Op: "check the schema version", Reason: jauge.ReasonBadRequest,
			Err:  fmt.Errorf("bucket %q has version %d, this program knows %d", s.main.name, version, jauge.SchemaVersion),
			Hint: "it was written by a newer jauge: run that one, or name another bucket",
		}
	}
	line := fmt.Sprintf("%s version=%di %d", schemaMeasurement, jauge.SchemaVersion, time.Now().UnixNano())
	return s.send(ctx, s.main, line)
}

// version reads the version of the stored shape, 0 where none is stored yet.
func (s *Store) version(ctx context.Context) (int, error) {
	version := 0
	err := s.query(ctx, s.main, `SELECT last("version") FROM "`+schemaMeasurement+`"`, sink{row: func(cells []cell) (bool, error) {
		if len(cells) != 2 {
			return false, errors.New("an answer without a version")
		}
		v, err := strconv.Atoi(string(cells[1].text))
		version = v
		return true, err
	}})
	if err != nil {
		return 0, s.explain("read the schema version", err)
	}
	return version, nil
}
