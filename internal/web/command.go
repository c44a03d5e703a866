package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Command is something that the daemon does for another process: it reads its request, tells of its progress as it
// goes and gives a result. An error may come with a result that says how far it came.
type Command func(ctx context.Context, request json.RawMessage, progress func(any)) (result any, err error)

// line is one line of an answer. The last one has Done.
type line struct {
	Progress json.RawMessage `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
	Done     bool            `json:"done,omitempty"`
}

const maxRequest = 1 << 20

// Commands serves each command at POST /v1/<name>; the answer is a stream of JSON lines.
func Commands(commands map[string]Command) http.Handler {
	mux := http.NewServeMux()
	for name, c := range commands {
		mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/x-ndjson")
			out := &writer{enc: json.NewEncoder(w), flush: http.NewResponseController(w).Flush}
			result, err := c(r.Context(), body, func(p any) { out.write(line{}, p, nil) })
			last := line{Done: true}
			if err != nil {
				last.Error = err.Error()
			}
			out.write(last, nil, result)
		})
	}
	return mux
}

// writer writes lines one at a time: progress may come from several goroutines.
type writer struct {
	mu    sync.Mutex
	enc   *json.Encoder
	flush func() error
}

func (w *writer) write(l line, progress, result any) {
	var bad [2]error
	if progress != nil {
		l.Progress, bad[0] = json.Marshal(progress)
	}
	if result != nil {
		l.Result, bad[1] = json.Marshal(result)
	}
	if err := errors.Join(bad[0], bad[1]); err != nil {
		l = line{Error: err.Error(), Done: l.Done}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.enc.Encode(l) == nil { // else the client went away, and the request's ctx ends
		_ = w.flush()
	}
}

// RemoteError is what a command at the other end of the socket said went wrong.
type RemoteError struct{ Text string }

// Error returns the other end's words.
func (e *RemoteError) Error() string { return e.Text }

// Dial returns a client whose calls all go to the unix socket at path.
func Dial(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			short, done, err := SocketPath(path)
			if err != nil {
				return nil, err
			}
			defer done()
			var d net.Dialer
			return d.DialContext(ctx, "unix", short)
		},
	}}
}

// Call has a command done by the daemon behind hc. progress gets each line of progress, and result is filled from the
// last line, also where the command failed half-way; the error is then a *RemoteError.
func Call(ctx context.Context, hc *http.Client, name string, request any, progress func(json.RawMessage), result any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://jauge/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running daemon: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the running daemon answered %s to %q: is it of another version?", resp.Status, name)
	}
	return read(json.NewDecoder(resp.Body), progress, result)
}

func read(dec *json.Decoder, progress func(json.RawMessage), result any) error {
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errors.New("the running daemon stopped before it had done what was asked: ask again")
			}
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		if l.Progress != nil && progress != nil {
			progress(l.Progress)
		}
		if !l.Done {
			continue
		}
		if l.Result != nil && result != nil {
			if err := json.Unmarshal(l.Result, result); err != nil {
				return fmt.Errorf("read the daemon's answer: %w", err)
			}
		}
		if l.Error != "" {
			return &RemoteError{l.Error}
		}
		return nil
	}
}
