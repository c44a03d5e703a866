package influx

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/internal/base"
)

const (
	// chunkRows is how many rows the server sends in one piece.
	chunkRows = "5000"
	// maxValues is how many values of a condition stand in the statement: the server walks over them for each series
	// or row. Longer lists are judged here.
	maxValues = 200
)

// Read gives the rows that match, by time; each row is the caller's own. Rows that are written meanwhile may be among
// them.
func (s *Store) Read(ctx context.Context, q jauge.Query) iter.Seq2[jauge.Record, error] {
	return func(yield func(jauge.Record, error) bool) {
		start := time.Now()
		err := s.read(ctx, q, func(r jauge.Record) bool { return yield(r, nil) })
		s.meter.Read(start, err)
		if err != nil {
			yield(jauge.Record{}, err)
		}
	}
}

func (s *Store) read(ctx context.Context, q jauge.Query, take func(jauge.Record) bool) error {
	op := "read " + string(q.Measurement)
	plan, err := base.NewPlan(q)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil || plan.Nothing {
		return s.orNil(op, err)
	}
	if err := s.open(ctx); err != nil {
		return s.explain(op, err)
	}
	r := newRowReader(ctx, plan, take)
	err = s.query(ctx, s.bucketOf(plan.Schema), r.statement(), sink{series: r.series, row: r.row})
	if cause := ctx.Err(); err != nil && cause != nil {
		err = cause
	}
	return s.doubt(s.orNil(op, err))
}

func (s *Store) orNil(op string, err error) error {
	if err == nil {
		return nil
	}
	return s.explain(op, err)
}

// query sends InfluxQL and feeds the sink while the answer comes in.
func (s *Store) query(ctx context.Context, b *bucket, text string, to sink) error {
	ctx, cancel := s.bounded(ctx, s.cfg.ReadTimeout)
	defer cancel()
	params := url.Values{"db": {b.name}, "epoch": {"ns"}, "chunked": {"true"}, "chunk_size": {chunkRows}}
	req, err := s.request(ctx, http.MethodPost, "/query?"+params.Encode(), strings.NewReader(url.Values{"q": {text}}.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := s.hc.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what matters has been read
	if resp.StatusCode != http.StatusOK {
		return s.refusal("read from "+b.name, resp)
	}
	err = decode(resp.Body, to)
	if said, ok := errors.AsType[serverError](err); ok {
		e := &jauge.Error{Op: "read from " + b.name, Reason: jauge.ReasonServer, Err: errors.New(short(string(said)))}
		if strings.Contains(string(said), "not found") {
			e.Reason, e.Hint = jauge.ReasonNotFound, "the bucket is gone; it is made again with the next call"
		}
		return e
	}
	return err
}

// rowReader makes records of the rows of an answer.
type rowReader struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one read
	plan  *base.Plan
	take  func(jauge.Record) bool
	local []localCond // conditions that are judged here
	left  int         // rows still wanted, -1 for all
	width int
	last  []string // rows of one account follow each other: their tags share memory
}

// localCond is a condition on the cell at a position.
type localCond struct {
	cell   int
	values map[string]bool
}

func newRowReader(ctx context.Context, p *base.Plan, take func(jauge.Record) bool) *rowReader {
	r := &rowReader{ctx: ctx, plan: p, take: take, left: -1, last: make([]string, len(p.Schema.Tags))}
	if p.Limit > 0 {
		r.left = p.Limit
	}
	r.width = 1 + len(p.Columns) + len(p.Schema.Tags)
	return r
}

// statement writes the InfluxQL: the wanted fields, then all tags, as columns; then the fields that are only judged
// here. The server leaves out rows that have none of the fields.
func (r *rowReader) statement() string {
	p := r.plan
	var names, where []string
	for _, c := range p.Columns {
		// The cast leaves out what somebody else has written as another type.
		names = append(names, ident(p.Schema.Columns[c].Name)+castOf(p.Schema.Columns[c].Type))
	}
	for _, t := range p.Schema.Tags {
		names = append(names, ident(t))
	}
	for _, c := range p.Conds {
		if len(c.Values) <= maxValues && !slices.ContainsFunc(c.Values, unsayable) {
			where = append(where, anyOf(c))
			continue
		}
		names = r.judge(c, names)
	}
	// The server tells instants from one nanosecond after the least that 64 bits hold to one before the greatest.
	if p.Bounded[0] {
		where = append(where, "time >= "+strconv.FormatInt(max(p.From, minTime), 10))
	}
	if p.Bounded[1] {
		where = append(where, "time < "+strconv.FormatInt(min(p.To, maxTime), 10))
	}
	text := "SELECT " + strings.Join(names, ", ") + " FROM " + ident(string(p.Schema.Measurement))
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	text += " ORDER BY time"
	if p.Desc {
		text += " DESC"
	}
	if p.Limit > 0 && len(r.local) == 0 {
		text += " LIMIT " + strconv.Itoa(p.Limit)
	}
	return text
}

const (
	minTime = -1<<63 + 2
	maxTime = 1<<63 - 2
)

func castOf(t jauge.ColumnType) string {
	switch t {
	case jauge.Float:
		return "::float"
	case jauge.Instant, jauge.Integer:
		return "::integer"
	case jauge.Text:
		return "::string"
	case jauge.Flag:
		return "::boolean"
	}
	return ""
}

// judge has a condition decided here, on a column that is asked for anyway or added at the end.
func (r *rowReader) judge(c base.Cond, names []string) []string {
	p := r.plan
	l := localCond{values: make(map[string]bool, len(c.Values))}
	for _, v := range c.Values {
		if c.Tag >= 0 {
			v = tagText(v)
		}
		l.values[v] = true
	}
	switch i := slices.Index(p.Columns, c.Col); {
	case c.Tag >= 0:
		l.cell = 1 + len(p.Columns) + c.Tag
	case i >= 0:
		l.cell = 1 + i
	default:
		l.cell = 1 + len(names)
		names = append(names, ident(c.Name))
		r.width++
	}
	r.local = append(r.local, l)
	return names
}

func anyOf(c base.Cond) string {
	alternatives := make([]string, len(c.Values))
	for i, v := range c.Values {
		if c.Tag >= 0 {
			v = tagText(v)
		}
		alternatives[i] = ident(c.Name) + " = " + literal(v)
	}
	return "(" + strings.Join(alternatives, " OR ") + ")"
}

// unsayable tells whether InfluxQL has no way to write a text: its strings know \n and no other control character.
func unsayable(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && unicode.IsControl(r) })
}

var literalReplacer = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`)

// ident and literal quote a name and a text for InfluxQL.
func ident(s string) string   { return quoted(s) }
func literal(s string) string { return "'" + literalReplacer.Replace(s) + "'" }

func (r *rowReader) series(_ map[string]string, columns []string) error {
	if len(columns) != r.width {
		return fmt.Errorf("%d columns in the answer, want %d", len(columns), r.width)
	}
	return nil
}

func (r *rowReader) row(cells []cell) (bool, error) {
	if err := r.ctx.Err(); err != nil {
		return false, err
	}
	if len(cells) != r.width {
		return false, fmt.Errorf("%d cells in a row, want %d", len(cells), r.width)
	}
	for _, l := range r.local {
		if c := cells[l.cell]; c.kind != cellString || !l.values[string(c.text)] {
			return true, nil
		}
	}
	rec, err := r.record(cells)
	if err != nil || len(rec.Values) == 0 || slices.Contains(rec.Tags, "") { // a row without all tags is none of ours
		return true, err
	}
	if r.left > 0 {
		r.left--
	}
	return r.take(rec) && r.left != 0, nil
}

func (r *rowReader) record(cells []cell) (jauge.Record, error) {
	p := r.plan
	rec := jauge.Record{Schema: p.Schema, Tags: make([]string, len(p.Schema.Tags))}
	var err error
	if rec.Time, err = strconv.ParseInt(string(cells[0].text), 10, 64); err != nil {
		return rec, fmt.Errorf("time of a row: %w", err)
	}
	fields, tags := cells[1:1+len(p.Columns)], cells[1+len(p.Columns):]
	for i := range rec.Tags {
		if string(tags[i].text) != r.last[i] {
			r.last[i] = string(tags[i].text)
		}
		rec.Tags[i] = r.last[i]
	}
	n := 0
	for i := range fields {
		if fields[i].kind != cellNull {
			n++
		}
	}
	rec.Values = make([]jauge.Value, 0, n)
	for i, col := range p.Columns {
		if fields[i].kind == cellNull {
			continue
		}
		v, err := toValue(p.Schema.Columns[col].Type, col, fields[i])
		if err != nil {
			return rec, fmt.Errorf("field %s of a row: %w", p.Schema.Columns[col].Name, err)
		}
		rec.Values = append(rec.Values, v)
	}
	return rec, nil
}

// toValue types a cell by the schema: a float without decimals looks like an integer in JSON, and an instant must not
// pass through a float.
func toValue(t jauge.ColumnType, col int, c cell) (jauge.Value, error) {
	switch {
	case t == jauge.Float && c.kind == cellNumber:
		f, err := strconv.ParseFloat(string(c.text), 64)
		return jauge.FloatValue(col, f), err
	case (t == jauge.Instant || t == jauge.Integer) && c.kind == cellNumber:
		i, err := strconv.ParseInt(string(c.text), 10, 64)
		return jauge.IntValue(col, i), err
	case t == jauge.Text && c.kind == cellString:
		return jauge.TextValue(col, string(c.text)), nil
	case t == jauge.Flag && (c.kind == cellTrue || c.kind == cellFalse):
		return jauge.FlagValue(col, c.kind == cellTrue), nil
	}
	return jauge.Value{}, fmt.Errorf("a value of another type (%c): something else wrote into the bucket", c.kind)
}
