package mastofake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is a way to fail.
type FaultKind uint8

// The kinds of faults.
const (
	// Status answers with Fault.Status.
	Status FaultKind = iota
	// Truncated sends half of the answer.
	Truncated
	// Stalled answers nothing until the caller gives up.
	Stalled
	// Broken ends the connection without an answer.
	Broken
	// HTML answers 200 with a page for people.
	HTML
)

// Fault makes calls fail.
type Fault struct {
	Path       string // part of the path; empty strikes every call
	Skip       int    // so many calls pass first
	Times      int    // how many calls fail then; 0 for all
	Kind       FaultKind
	Status     int // of kind Status
	RetryAfter time.Duration

	struck int
}

// Inject adds a fault. Faults are tried in the order in which they came.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault finds the fault that strikes a call, under lock.
func (s *Server) takeFault(path string) *Fault {
	for i, f := range s.faults {
		if !strings.Contains(path, f.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.struck++; f.Times > 0 && f.struck >= f.Times {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		c := *f
		return &c
	}
	return nil
}

// strike answers in the server's place, and tells whether it has.
func (f *Fault) strike(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case Status:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
		}
		refuse(w, f.Status, "A made fault")
	case Stalled:
		<-r.Context().Done()
	case Broken:
		panic(http.ErrAbortHandler)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><html><body>Be right back</body></html>"))
	case Truncated:
		return false
	}
	return true
}

// truncating keeps an answer back and sends half of it.
type truncating struct {
	http.ResponseWriter
	code int
	body []byte
}

func (t *truncating) WriteHeader(code int) { t.code = code }

func (t *truncating) Write(b []byte) (int, error) {
	t.body = append(t.body, b...)
	return len(b), nil
}

func (t *truncating) flush() {
	if t.code != 0 {
		t.ResponseWriter.WriteHeader(t.code)
	}
	_, _ = t.ResponseWriter.Write(t.body[:len(t.body)/2])
}

// window is a stretch of a rate limit.
type window struct {
	used int
	ends time.Time
}

// admit counts a call against the limits and writes the headers of the one that is nearer its end: 5 minutes for
// all calls, 15 for those with a cursor.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	if s.cfg.Calls == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, near := s.cfg.Now(), 0
	lengths := [2]time.Duration{5 * time.Minute, 15 * time.Minute}
	for i := range s.windows {
		if i == 1 && !r.URL.Query().Has("max_id") {
			continue
		}
		if !now.Before(s.windows[i].ends) {
			s.windows[i] = window{ends: now.Truncate(lengths[i]).Add(lengths[i])}
		}
		s.windows[i].used++
		if s.windows[i].used > s.windows[near].used {
			near = i
		}
	}
	used := s.windows[near]
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(s.cfg.Calls))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(s.cfg.Calls-used.used, 0)))
	w.Header().Set("X-RateLimit-Reset", used.ends.UTC().Format("2006-01-02T15:04:05.000000Z"))
	return used.used <= s.cfg.Calls
}

// Network is several servers behind one handler, told apart by the host that is asked; an unknown host does not
// answer.
type Network map[string]*Server

// ServeHTTP implements http.Handler.
func (n Network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := n[strings.ToLower(r.Host)]
	if s == nil {
		panic(http.ErrAbortHandler)
	}
	s.ServeHTTP(w, r)
}
