package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file that pages refer to, under an address that holds a hash of it: it can be kept for ever.
type asset struct {
	address, kind string
	plain         []byte
	zipped        func() []byte // made when the first browser asks: the daemon's start does not wait for it
}

// assets are the files by their names and by their addresses.
type assets struct {
	byName, byAddress map[string]*asset
}

const hashDigits = 16

// kinds are the types of our files, whatever this machine thinks of their names.
var kinds = map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

func newAssets() (*assets, error) {
	a := &assets{byName: map[string]*asset{}, byAddress: map[string]*asset{}}
	for _, name := range []string{"vendor/pico.min.css", "jauge.css", "mark.svg"} {
		b, err := fs.ReadFile(assetFiles, "assets/"+name)
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		sum := sha256.Sum256(b)
		one := &asset{
			address: "/assets/" + hex.EncodeToString(sum[:])[:hashDigits] + "/" + path.Base(name),
			kind:    kinds[path.Ext(name)], plain: b, zipped: sync.OnceValue(func() []byte { return zip(b) }),
		}
		a.byName[path.Base(name)], a.byAddress[one.address] = one, one
	}
	return a, nil
}

// zip compresses into memory, where nothing can fail.
func zip(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// serve answers with an asset, and tells whether there is one.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) bool {
	one := a.byAddress[r.URL.Path]
	if one == nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", one.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := one.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = one.zipped()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client went away: nothing to do
	return true
}
