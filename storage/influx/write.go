package influx

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

// Write upserts the rows, a few batches at once. Rows that the server refuses for good come back in a
// *jauge.RejectedError, all others are then durable. Any other error means that some rows may not be stored; the same
// call may be repeated.
func (s *Store) Write(ctx context.Context, rows []jauge.Record) error {
	start := time.Now()
	valid, refused := base.Valid(rows)
	w := &writing{store: s}
	if refused != nil {
		w.refused = *refused
	}
	err := s.write(ctx, w, valid)
	if err == nil && len(w.refused.Rows) > 0 {
		err = &w.refused
	}
	s.meter.Wrote(start, rows, err)
	return err
}

// writing is one call of Write under way.
type writing struct {
	store   *Store
	mu      sync.Mutex
	refused jauge.RejectedError
}

func (s *Store) write(ctx context.Context, w *writing, rows []jauge.Record) error {
	if len(rows) == 0 {
		return ctx.Err()
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	rows = unique(rows)
	var replaced []*jauge.Record
	for i := range rows {
		if rows[i].Replace {
			replaced = append(replaced, &rows[i])
		}
	}
	if err := s.remove(ctx, replaced); err != nil {
		return s.doubt(err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.cfg.Concurrency)
	for _, b := range []*bucket{s.main, s.history} {
		for batch := range slices.Chunk(s.of(b, rows), s.cfg.BatchRows) {
			g.Go(func() error { return w.batch(gctx, b, batch) })
		}
	}
	if err := g.Wait(); err != nil {
		if cause := ctx.Err(); cause != nil {
			return s.explain("write rows", cause)
		}
		return s.doubt(err)
	}
	return nil
}

// of gives the rows that belong into a bucket.
func (s *Store) of(b *bucket, rows []jauge.Record) []*jauge.Record {
	out := make([]*jauge.Record, 0, len(rows))
	for i := range rows {
		if s.bucketOf(rows[i].Schema) == b {
			out = append(out, &rows[i])
		}
	}
	return out
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// batch writes rows with one request, with more where the server refuses some of them.
func (w *writing) batch(ctx context.Context, b *bucket, rows []*jauge.Record) error {
	if len(rows) == 0 {
		return nil
	}
	buf, _ := lines.Get().(*[]byte)
	text := (*buf)[:0]
	l := newLiner(w.store.templates)
	for _, r := range rows {
		text = l.appendLine(text, r)
	}
	err := w.store.send(ctx, b, string(text[:len(text)-1]))
	*buf = text
	lines.Put(buf)
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || !rowsAtFault(e) {
		return err
	}
	if len(rows) == 1 {
		w.refuse(rows[0], e.Err.Error())
		return nil
	}
	return w.isolate(ctx, b, rows, e)
}

// isolate finds the rows that the server refuses: those past the bucket's retention by their time, others by halves.
// Writing the good ones again changes nothing.
func (w *writing) isolate(ctx context.Context, b *bucket, rows []*jauge.Record, e *jauge.Error) error {
	why := e.Err.Error()
	if strings.Contains(why, "retention") {
		left := w.refuseOld(b, rows, why)
		if len(left) < len(rows) {
			return w.batch(ctx, b, left)
		}
	}
	half := len(rows) / 2
	if err := w.batch(ctx, b, rows[:half]); err != nil {
		return err
	}
	return w.batch(ctx, b, rows[half:])
}

// refuseOld gives up the rows that are past the retention, of which the server said that there are some.
func (w *writing) refuseOld(b *bucket, rows []*jauge.Record, why string) []*jauge.Record {
	w.store.mu.RLock()
	kept := b.kept
	w.store.mu.RUnlock()
	if kept == 0 {
		return rows
	}
	oldest := time.Now().Add(-kept).UnixNano()
	var left []*jauge.Record
	for _, r := range rows {
		if r.Time < oldest {
			w.refuse(r, why)
			continue
		}
		left = append(left, r)
	}
	return left
}

func (w *writing) refuse(r *jauge.Record, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	base.Reject(&w.refused, *r, why)
}

// rowsAtFault tells whether an error speaks of rows that will never be taken. Everything else, above all an unknown
// 4xx, is a fault of the way there: no row may be given up for it.
func rowsAtFault(e *jauge.Error) bool {
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
	default:
		return false
	}
	why := strings.ToLower(e.Err.Error())
	if strings.Contains(why, "limit exceeded") { // of series: the operator can raise it
		return false
	}
	for _, known := range []string{"partial write", "unable to parse", "field type conflict", "retention policy"} {
		if strings.Contains(why, known) {
			return true
		}
	}
	return false
}

// send writes lines into a bucket with one request.
func (s *Store) send(ctx context.Context, b *bucket, text string) error {
	ctx, cancel := s.bounded(ctx, s.cfg.Timeout)
	defer cancel()
	if err := b.writer.WriteRecord(ctx, text); err != nil {
		return s.explain("write rows to "+b.name, err)
	}
	return nil
}

var seed = maphash.MakeSeed()

// unique merges rows of the same key into one, where it stood last: rows of one call are spread over batches that run
// at the same time. It returns rows itself where no key occurs twice, which is nearly always.
func unique(rows []jauge.Record) []jauge.Record {
	if len(rows) < 2 {
		return rows
	}
	seen := make(map[uint64]int, len(rows))
	var out []jauge.Record // made at the first key that occurs twice
	for i := range rows {
		r := &rows[i]
		h := hash(r)
		j, again := seen[h]
		for ; again && !sameKey(at(rows, out, j), r); j, again = seen[h] {
			h++ // another key of the same hash
		}
		switch {
		case !again && out == nil:
			seen[h] = i
		case !again:
			seen[h] = len(out)
			out = append(out, *r)
		default:
			if out == nil {
				out = append(make([]jauge.Record, 0, len(rows)), rows[:i]...)
			}
			out[j] = merged(&out[j], r)
		}
	}
	if out == nil {
		return rows
	}
	return out
}

func at(rows, out []jauge.Record, i int) *jauge.Record {
	if out != nil {
		return &out[i]
	}
	return &rows[i]
}

func hash(r *jauge.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, t := range r.Tags {
		_, _ = h.WriteString(t) // never fails
		_ = h.WriteByte(0)
	}
	t := uint64(r.Time) //nolint:gosec // bit by bit
	for range 8 {
		_ = h.WriteByte(byte(t))
		t >>= 8
	}
	return h.Sum64()
}

func sameKey(a, b *jauge.Record) bool {
	return a.Time == b.Time && a.Schema == b.Schema && slices.Equal(a.Tags, b.Tags)
}

// merged is what is stored after both rows have been written, the old one first.
func merged(old, fresh *jauge.Record) jauge.Record {
	if fresh.Replace {
		return *fresh
	}
	out := *old
	out.Values = make([]jauge.Value, 0, len(old.Values)+len(fresh.Values))
	for _, v := range old.Values {
		if _, ok := fresh.Get(v.Col); !ok {
			out.Values = append(out.Values, v)
		}
	}
	out.Values = append(out.Values, fresh.Values...)
	slices.SortFunc(out.Values, func(a, b jauge.Value) int { return a.Col - b.Col })
	return out
}
