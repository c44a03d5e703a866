//go:build integration

package bench_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/influx"
)

// BenchmarkDrainInflux empties a filled journal into a real InfluxDB, beside writing the identical rows raw.
func BenchmarkDrainInflux(b *testing.B) {
	n := 0
	open := func() store {
		n++
		s, err := influx.New(influx.Config{
			URL: os.Getenv("JAUGE_INFLUX_URL"), Token: jauge.Secret(os.Getenv("JAUGE_INFLUX_TOKEN")),
			Org: os.Getenv("JAUGE_INFLUX_ORG"), Bucket: fmt.Sprintf("bench_%d_%d", time.Now().UnixNano(), n),
		}, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Open(b.Context()); err != nil {
			b.Fatal("a real InfluxDB is needed, see make testbed: ", err)
		}
		b.Cleanup(func() { _ = s.Close() })
		return s
	}
	// The accounts of the first load fit into the pipeline's cache; of the second they do not, and are read back.
	b.Run("80x100x30", func(b *testing.B) { measure(b, load{80, 100, 30}, open) })
	b.Run("200x100x12", func(b *testing.B) { measure(b, load{200, 100, 12}, open) })
}
