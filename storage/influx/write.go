package influx

import (
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

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

const (
	longestKept = 4 << 20 // of the buffers that are kept from one request to the next, in bytes
	keepUnused  = 30 * time.Second
	usualLine   = 224 // bytes
)

// buffer gives an empty buffer for the lines of so many rows. A sync.Pool would lose them at each garbage collection,
// of which there are many a second in a small heap.
func (s *Store) buffer(rows int) []byte {
	select {
	case b := <-s.texts:
		return b[:0]
	default:
		return make([]byte, 0, rows*usualLine)
	}
}

func (s *Store) keep(b []byte) {
	if cap(b) > longestKept {
		return
	}
	select {
	case s.texts <- b:
		s.unused.Reset(keepUnused)
	default:
	}
}

// drop lets go of the buffers when nothing has been written for a while.
func (s *Store) drop() {
	for {
		select {
		case <-s.texts:
		default:
			return
		}
	}
}

// batch writes rows with one request, with more where the server refuses some of them.
func (w *writing) batch(ctx context.Context, b *bucket, rows []*jauge.Record) error {
	if len(rows) == 0 {
		return nil
	}
	text := w.store.buffer(len(rows))
	l := newLiner(w.store.templates)
	for _, r := range rows {
		text = l.appendLine(text, r)
	}
	err := w.store.send(ctx, b, asString(text[:len(text)-1]))
	w.store.keep(text)
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

// asString gives the lines to the client without a copy where they are read to their end before the client returns,
// which the gzipper sees to; what it leaves as it is may be read later, and is copied.
func asString(text []byte) string {
	if len(text) < leastGzip {
		return string(text)
	}
	return unsafe.String(unsafe.SliceData(text), len(text)) //nolint:gosec // nobody keeps it, see above
}

var seed = maphash.MakeSeed()

// unique merges rows of the same key into one, where it stood last: rows of one call are spread over batches that run
// at the same time. It returns rows itself where no key occurs twice, which is nearly always.
func unique(rows []jauge.Record) []jauge.Record {
	if len(rows) < 2 {
		return rows
	}
	width := bits.Len(uint(2 * len(rows))) //nolint:gosec // a length
	seen := make([]slot, 1<<width)
	var out []jauge.Record // made at the first key that occurs twice
	var tags tagHash
	for i := range rows {
		r := &rows[i]
		h := tags.row(r)
		at := h >> (64 - width)
		for seen[at].pos != 0 && (seen[at].hash != uint32(h) || !sameKey(stored(rows, out, seen[at].pos), r)) { //nolint:gosec // its lower half
			at = (at + 1) & (1<<width - 1)
		}
		again := seen[at].pos != 0
		switch {
		case !again && out == nil:
			seen[at] = slot{uint32(h), uint32(i + 1)} //nolint:gosec // the lower half; rows of one call
		case !again:
			out = append(out, *r)
			seen[at] = slot{uint32(h), uint32(len(out))} //nolint:gosec // as above
		default:
			if out == nil {
				out = append(make([]jauge.Record, 0, len(rows)), rows[:i]...)
			}
			out[seen[at].pos-1] = merged(&out[seen[at].pos-1], r)
		}
	}
	if out == nil {
		return rows
	}
	return out
}

// slot is a place in the table of keys that were seen: a part of the key's hash, and where its row is, counted from 1.
type slot struct{ hash, pos uint32 }

func stored(rows, out []jauge.Record, pos uint32) *jauge.Record {
	if out != nil {
		return &out[pos-1]
	}
	return &rows[pos-1]
}

// tagHash hashes rows. Neighbours mostly share one list of tags, whose hash is kept.
type tagHash struct {
	tags *string
	n    int
	hash uint64
}

func (t *tagHash) row(r *jauge.Record) uint64 {
	if first := unsafe.SliceData(r.Tags); first != t.tags || len(r.Tags) != t.n {
		t.tags, t.n, t.hash = first, len(r.Tags), 0
		for _, s := range r.Tags {
			t.hash = mix(t.hash ^ maphash.String(seed, s))
		}
	}
	return mix(t.hash ^ uint64(r.Time)) //nolint:gosec // bit by bit
}

func mix(h uint64) uint64 {
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>32
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
