package influx

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	writePath = "/api/v2/write"
	// leastGzip is the size from which compressing a body pays.
	leastGzip = 1024
)

// gzipper compresses the bodies of writes at level 1: the lines shrink to a fifth for a tenth of the CPU time of level
// 6, which is the only one that the client's own option has. It also refuses an answer to a write that says success in
// other words than InfluxDB's: a proxy's page is no storage.
type gzipper struct {
	next *http.Transport
	idle chan *gzip.Writer // a writer holds a megabyte: a few are kept for good, where a sync.Pool loses them at each GC
}

// RoundTrip implements http.RoundTripper.
func (g *gzipper) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.URL.Path, writePath) {
		return g.next.RoundTrip(req)
	}
	if req.ContentLength >= leastGzip {
		var err error
		if req, err = g.compress(req); err != nil {
			return nil, err
		}
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 && resp.StatusCode != http.StatusNoContent {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("a write was answered with status %d, where InfluxDB says 204", resp.StatusCode)
	}
	return resp, nil
}

func (g *gzipper) compress(req *http.Request) (*http.Request, error) {
	var b bytes.Buffer
	b.Grow(int(req.ContentLength) / 4)
	z, err := g.writer()
	if err != nil {
		return nil, fmt.Errorf("make a gzip writer: %w", err)
	}
	z.Reset(&b)
	// Only a Reader: as a WriterTo the client's body would be copied whole first.
	_, err = io.Copy(z, struct{ io.Reader }{req.Body})
	if err == nil {
		err = z.Close()
	}
	select {
	case g.idle <- z:
	default:
	}
	if cerr := req.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("compress the lines: %w", err)
	}
	out := req.Clone(req.Context())
	body := b.Bytes()
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.ContentLength = int64(len(body))
	out.Header.Set("Content-Encoding", "gzip")
	return out, nil
}

func (g *gzipper) writer() (*gzip.Writer, error) {
	select {
	case z := <-g.idle:
		return z, nil
	default:
		return gzip.NewWriterLevel(nil, gzip.BestSpeed)
	}
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (g *gzipper) CloseIdleConnections() { g.next.CloseIdleConnections() }
