package pipeline

import (
	"time"

	"jauge.dev/jauge"
)

// rows collects what a batch writes. History goes first: whatever is lost after it can be made again from it.
type rows struct {
	history []jauge.Record // single readings
	main    []jauge.Record // everything else
	deletes []jauge.Record // rows that moved or lost their value, after what replaces them

	room *room // where the fields of most rows are
}

// room gives rows space for their fields and tags out of larger pieces.
type room struct {
	free   []jauge.Value
	tags   []string
	pieces [][]jauge.Value // all of them, for the next batch
	used   int             // pieces
}

const (
	fieldsPiece = 4096
	tagsPiece   = 1024
)

// fields makes space for a row's fields.
func (r *room) fields(n int) []jauge.Value {
	if len(r.free) < n {
		if r.used == len(r.pieces) {
			r.pieces = append(r.pieces, make([]jauge.Value, max(n, fieldsPiece)))
		}
		r.free = r.pieces[r.used]
		r.used++
	}
	vs := r.free[:0:n]
	r.free = r.free[n:]
	return vs
}

// list makes space for a row's tags. Its pieces are not used again: what is to be deleted may outlive its batch.
func (r *room) list(n int) []string {
	if len(r.tags) < n {
		r.tags = make([]string, max(n, tagsPiece))
	}
	ts := r.tags[:0:n]
	r.tags = r.tags[n:]
	return ts
}

// How many batches' rows are kept for use by the next ones, how large they may be, and for how long without work.
const (
	spareBatches = 3
	spareRows    = 2 * batchRows
	spareUnused  = 10 * time.Second
)

// newRows begins a batch's rows, in the space of an earlier one where there is one.
func (p *Pipeline) newRows() rows {
	select {
	case r := <-p.spare:
		return r
	default:
		return rows{room: &room{}}
	}
}

// reuse keeps the space of a batch's rows once they have been written; stores hold on to none of it.
func (p *Pipeline) reuse(b *batch) {
	r := b.rows
	b.rows, b.pages, b.order = rows{}, nil, nil
	if cap(r.history) > spareRows || cap(r.main) > spareRows || r.room == nil {
		return
	}
	clear(r.history)
	clear(r.main)
	for _, piece := range r.room.pieces[:r.room.used] {
		clear(piece)
	}
	r.history, r.main, r.deletes = r.history[:0], r.main[:0], nil
	r.room.free, r.room.used = nil, 0
	select {
	case p.spare <- r:
	default:
	}
}

// dropSpare gives back what has not been of use for a while.
func (p *Pipeline) dropSpare() {
	for {
		select {
		case <-p.spare:
		default:
			return
		}
	}
}
