//go:build integration

package integration_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// row is a stored row in the form that both stores can be brought to: time and instants are int64, other numbers and
// flags float64, texts string; an absent value has no entry.
type row map[string]any

func (r row) text(name string) string { s, _ := r[name].(string); return s }

// key is what makes a row unique: its tags and time.
func (r row) key(m string) string {
	var b strings.Builder
	for _, tag := range tags[m] {
		fmt.Fprintf(&b, "%s=%s ", tag, r.text(tag))
	}
	fmt.Fprintf(&b, "time=%v", r["time"])
	return b.String()
}

// without returns the row less some columns.
func (r row) without(names ...string) row {
	out := maps.Clone(r)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// tags are the key columns of each measurement beside time, as the outer contract names them.
var tags = map[string][]string{
	"social_account":         {"brand", "platform", "account", "period", "paid"},
	"social_account_history": {"brand", "platform", "account", "period", "paid"},
	"social_post":            {"brand", "platform", "account", "format"},
	"social_post_history":    {"brand", "platform", "account"},
	"social_post_daily":      {"brand", "platform", "account", "format"},
	"social_kpi":             {"brand", "platform", "account", "kpi", "window"},
	"restatement":            {"brand", "platform", "account", "metric"},
}

func measurements() []string { return slices.Sorted(maps.Keys(tags)) }

// reader reads all rows of a measurement from a store, whatever its kind.
type reader interface {
	rows(t *testing.T, measurement string) []row
}

// dump is all that a store holds, by measurement and key.
type dump map[string]map[string]row

// dumpOf reads everything. Two rows with one key fail the test: a row that is written twice must stay one.
func dumpOf(t *testing.T, r reader) dump {
	t.Helper()
	out := dump{}
	for _, m := range measurements() {
		out[m] = map[string]row{}
		for _, one := range r.rows(t, m) {
			k := one.key(m)
			if _, twice := out[m][k]; twice {
				t.Errorf("%s holds two rows with the key %s", m, k)
			}
			out[m][k] = one
		}
	}
	return out
}

// sqliteFile reads jauge.db.
type sqliteFile string

func (j *jauge) sqlite() sqliteFile { return sqliteFile(filepath.Join(j.data, "jauge.db")) }

func (f sqliteFile) rows(t *testing.T, measurement string) []row {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+string(f)+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rs, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT * FROM %q ORDER BY time", measurement))
	if err != nil {
		t.Fatalf("read %s from SQLite: %v", measurement, err)
	}
	defer rs.Close()
	columns, err := rs.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	for rs.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rs.Scan(into...); err != nil {
			t.Fatal(err)
		}
		r := row{}
		for i, name := range columns {
			r.put(name, values[i])
		}
		out = append(out, r)
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// instants are the columns that hold Unix nanoseconds, which a float64 cannot.
var instants = map[string]bool{"time": true, "observed_at": true, "published_at": true}

func (r row) put(name string, v any) {
	switch v := v.(type) {
	case nil:
	case int64:
		if instants[name] {
			r[name] = v
		} else {
			r[name] = float64(v)
		}
	case float64:
		r[name] = v
	case bool:
		r[name] = 0.0
		if v {
			r[name] = 1.0
		}
	case []byte:
		r[name] = string(v)
	case string:
		r[name] = v
	case json.Number:
		if instants[name] {
			i, _ := v.Int64()
			r[name] = i
		} else {
			f, _ := v.Float64()
			r[name] = f
		}
	default:
		r[name] = fmt.Sprintf("%T: %v", v, v)
	}
}

// influxBucket reads a bucket, and the one beside it that holds the histories, over the v1-compatible query endpoint.
type influxBucket struct{ url, token, org, bucket string }

// influxEnv returns the server that the environment names, with a bucket of the test's own, which the program makes.
func influxEnv(t *testing.T) influxBucket {
	t.Helper()
	return influxBucket{
		url: needEnv(t, "JAUGE_INFLUX_URL"), token: needEnv(t, "JAUGE_INFLUX_TOKEN"), org: needEnv(t, "JAUGE_INFLUX_ORG"),
		bucket: fmt.Sprintf("it_%s_%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_")), time.Now().UnixNano()),
	}
}

// env is what the program needs to use the bucket.
func (b influxBucket) env() []string {
	return []string{
		"JAUGE_STORE=influx", "JAUGE_INFLUX_URL=" + b.url, "JAUGE_INFLUX_TOKEN=" + b.token, "JAUGE_INFLUX_ORG=" + b.org,
		"JAUGE_INFLUX_BUCKET=" + b.bucket,
	}
}

func (b influxBucket) rows(t *testing.T, measurement string) []row {
	t.Helper()
	bucket := b.bucket
	if strings.HasSuffix(measurement, "_history") {
		bucket += "_history"
	}
	out, err := b.query(t.Context(), bucket, fmt.Sprintf("SELECT * FROM %q", measurement))
	if err != nil {
		t.Fatalf("read %s from InfluxDB: %v", measurement, err)
	}
	return out
}

func (b influxBucket) query(ctx context.Context, bucket, q string) ([]row, error) {
	address := b.url + "/query?" + url.Values{"db": {bucket}, "q": {q}, "epoch": {"ns"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Token "+b.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d: %s", res.StatusCode, body)
	}
	var answer struct {
		Results []struct {
			Error  string
			Series []struct {
				Columns []string
				Values  [][]any
			}
		}
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, err
	}
	var out []row
	for _, result := range answer.Results {
		if result.Error != "" {
			return nil, fmt.Errorf("%s", result.Error)
		}
		for _, s := range result.Series {
			for _, values := range s.Values {
				r := row{}
				for i, name := range s.Columns {
					r.put(name, values[i])
				}
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// httpGet returns status and body; status 0 means that nobody answered.
func httpGet(ctx context.Context, address string) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}
