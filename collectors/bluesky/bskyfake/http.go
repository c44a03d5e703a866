package bskyfake

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refusal is an error as the AppView answers it.
type refusal struct {
	Status  int    `json:"-"`
	Error   string `json:"error"`
	Message string `json:"message"`
}

func invalid(message string) *refusal {
	return &refusal{http.StatusBadRequest, "InvalidRequest", message}
}

var (
	actorSyntax = regexp.MustCompile(`^(did:[a-z]+:[a-zA-Z0-9._:%-]+|([a-zA-Z0-9-]+\.)+[a-zA-Z][a-zA-Z0-9-]*)$`)
	uriSyntax   = regexp.MustCompile(`^at://[^/]+/[a-zA-Z0-9.]+/[^/]+$`)
)

// ServeHTTP implements http.Handler.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/xrpc/")
	fault, limited := f.begin(w, r, method)
	switch {
	case fault.Stall:
		<-r.Context().Done()
		return
	case fault.Abort:
		panic(http.ErrAbortHandler)
	case fault.Status != 0:
		for k, v := range fault.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(fault.Status)
		_, _ = w.Write([]byte(fault.Body))
		return
	}
	answer, refused := any(nil), (*refusal)(nil)
	if limited {
		refused = &refusal{http.StatusTooManyRequests, "RateLimitExceeded", "Rate Limit Exceeded"}
	} else {
		answer, refused = f.answer(method, r)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if refused != nil {
		w.WriteHeader(refused.Status)
		answer = refused
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(answer) // into memory, of what can always be encoded
	b := buf.Bytes()
	if fault.Truncate {
		b = b[:len(b)/2]
	}
	_, _ = w.Write(b)
}

// begin counts the request, asks what is to go wrong with it and keeps the rate limit.
func (f *Fake) begin(w http.ResponseWriter, r *http.Request, method string) (fault Fault, limited bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method]++
	if f.fault != nil {
		fault = f.fault(r)
	}
	if f.limit <= 0 {
		return fault, false
	}
	now := time.Now()
	if !now.Before(f.resets) {
		f.resets, f.spent = now.Add(f.window), 0
	}
	f.spent++
	h := w.Header()
	h.Set("RateLimit-Limit", strconv.Itoa(f.limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(max(f.limit-f.spent, 0)))
	h.Set("RateLimit-Reset", strconv.FormatInt(f.resets.Add(time.Second-1).Unix(), 10))
	h.Set("RateLimit-Policy", strconv.Itoa(f.limit)+";w="+strconv.Itoa(int(f.window.Seconds())))
	return fault, f.spent > f.limit
}

func (f *Fake) answer(method string, r *http.Request) (any, *refusal) {
	if r.Method != http.MethodGet {
		return nil, invalid("Incorrect HTTP method (" + r.Method + ") expected GET")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	switch method {
	case "app.bsky.actor.getProfile":
		return f.profile(q)
	case "app.bsky.actor.getProfiles":
		return f.profiles(q)
	case "app.bsky.feed.getAuthorFeed":
		return f.feed(q)
	case "app.bsky.feed.getPosts":
		return f.posts(q)
	case "app.bsky.feed.getPostThread":
		return f.thread(q)
	}
	return nil, &refusal{http.StatusNotImplemented, "MethodNotImplemented", "Method Not Implemented"}
}

// actor finds an account that can be seen; expressly says why one cannot.
func (f *Fake) actor(name string, expressly bool) (*account, *refusal) {
	if !actorSyntax.MatchString(name) {
		return nil, invalid("Error: actor must be a valid did or a handle")
	}
	a := f.byDID[name]
	if a == nil {
		a = f.byHandle[strings.ToLower(name)]
	}
	switch {
	case a == nil, a.state == Deleted, a.state != Live && !expressly:
		return nil, invalid("Profile not found")
	case a.state == TakenDown:
		return nil, &refusal{http.StatusBadRequest, string(a.state), "Account has been suspended"}
	case a.state == Deactivated:
		return nil, &refusal{http.StatusBadRequest, string(a.state), "Account is deactivated"}
	}
	return a, nil
}

func (f *Fake) profile(q url.Values) (any, *refusal) {
	a, refused := f.actor(q.Get("actor"), true)
	if refused != nil {
		return nil, refused
	}
	return f.profileView(a), nil
}

func (f *Fake) profiles(q url.Values) (any, *refusal) {
	if len(q["actors"]) > 25 {
		return nil, invalid("Error: actors must not have more than 25 elements")
	}
	out := []any{}
	for i, name := range q["actors"] {
		if !actorSyntax.MatchString(name) {
			return nil, invalid("Error: actors/" + strconv.Itoa(i) + " must be a valid did or a handle")
		}
		if a, refused := f.actor(name, false); refused == nil {
			out = append(out, f.profileView(a))
		}
	}
	return map[string]any{"profiles": out}, nil
}

func (f *Fake) feed(q url.Values) (any, *refusal) {
	limit := 50
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 100 {
			return nil, invalid("Error: limit can not be greater than 100")
		}
		limit = n
	}
	a, refused := f.actor(q.Get("actor"), false)
	if refused != nil {
		return nil, refused
	}
	items, cursor, err := a.page(limit, q.Get("cursor"))
	if err != nil {
		return nil, &refusal{http.StatusInternalServerError, "InternalServerError", "Internal Server Error"}
	}
	out := feedView{Feed: make([]itemView, 0, len(items)+1), Cursor: cursor}
	if a.pinned != "" && q.Get("cursor") == "" {
		if _, p := f.find(a.pinned); p != nil && !p.deleted {
			out.Feed = append(out.Feed, itemView{Post: f.postView(a, p), Reason: map[string]any{
				"$type": "app.bsky.feed.defs#reasonPin",
			}})
		}
	}
	for _, i := range items {
		if v, ok := f.itemView(a, i); ok {
			out.Feed = append(out.Feed, v)
		}
	}
	return out, nil
}

func (f *Fake) posts(q url.Values) (any, *refusal) {
	if len(q["uris"]) > 25 {
		return nil, invalid("Error: uris must not have more than 25 elements")
	}
	out := []postView{}
	for i, uri := range slices.Backward(q["uris"]) { // not in the order asked: nothing promises it
		if !uriSyntax.MatchString(uri) {
			return nil, invalid("Error: uris/" + strconv.Itoa(i) + " must be a valid at-uri")
		}
		if a, p := f.find(uri); p != nil && a.state == Live && !p.deleted && !p.hidden {
			out = append(out, f.postView(a, p))
		}
	}
	return map[string]any{"posts": out}, nil
}

func (f *Fake) thread(q url.Values) (any, *refusal) {
	uri := q.Get("uri")
	if !uriSyntax.MatchString(uri) {
		return nil, invalid("Error: uri must be a valid at-uri")
	}
	a, p := f.find(uri)
	if p == nil || a.state != Live || p.deleted {
		return nil, &refusal{http.StatusBadRequest, "NotFound", "Post not found: " + uri}
	}
	return map[string]any{"thread": map[string]any{
		"$type": "app.bsky.feed.defs#threadViewPost", "post": f.postView(a, p),
		"threadContext": map[string]any{},
	}}, nil
}
