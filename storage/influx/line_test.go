package influx

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"jauge.dev/jauge"
)

// FuzzLine writes a row and reads the line with somebody else's decoder.
func FuzzLine(f *testing.F) {
	f.Add("acme", "did:plc:a", "text", "excerpt", 1.5, int64(1), true, int64(1700000000000000000))
	f.Add("a b,c=d", `back\slash\`, "two\nlines", `"quoted" \ and`+"\nbroken", -0.1, int64(math.MinInt64), false, int64(0))
	f.Add(`\`, `\,`, `\\=`, `\`, math.MaxFloat64, int64(math.MaxInt64), true, int64(-1))
	f.Add("é", "日本", "\r", "", 1e21, int64(0), false, int64(math.MaxInt64))
	s := jauge.SchemaOf(jauge.SocialPost)
	f.Fuzz(func(t *testing.T, brand, account, format, text string, num float64, whole int64, flag bool, at int64) {
		r := jauge.Record{Schema: s, Time: at, Tags: []string{brand, "bluesky", account, format}, Values: []jauge.Value{
			jauge.TextValue(s.Column("excerpt"), text), jauge.IntValue(s.Column("observed_at"), whole),
			jauge.FlagValue(s.Column("final"), flag), jauge.FloatValue(s.Column("likes"), num),
		}}
		if r.Validate() != nil {
			return
		}
		line := newLiner(newTemplates()).appendLine(nil, &r)
		d := lineprotocol.NewDecoderWithBytes(line)
		if !d.Next() {
			t.Fatalf("no line in %q: %v", line, d.Err())
		}
		m, err := d.Measurement()
		if err != nil || string(m) != string(s.Measurement) {
			t.Fatalf("measurement %q of %q: %v", m, line, err)
		}
		tags := map[string]string{}
		last := ""
		for {
			k, v, err := d.NextTag()
			if err != nil {
				t.Fatalf("tags of %q: %v", line, err)
			}
			if k == nil {
				break
			}
			if string(k) <= last {
				t.Errorf("tag %s is out of order", k)
			}
			last = string(k)
			tags[last] = string(v)
		}
		want := map[string]string{
			"brand": tagText(brand), "platform": "bluesky", "account": tagText(account), "format": tagText(format),
		}
		if diff := cmp.Diff(want, tags); diff != "" {
			t.Errorf("tags of %q (-want +got):\n%s", line, diff)
		}
		fields := map[string]any{}
		for {
			k, v, err := d.NextField()
			if err != nil {
				t.Fatalf("fields of %q: %v", line, err)
			}
			if k == nil {
				break
			}
			fields[string(k)] = v.Interface()
		}
		wantFields := map[string]any{"excerpt": strings.ToValidUTF8(text, "\uFFFD"), "observed_at": whole, "final": flag, "likes": num}
		if diff := cmp.Diff(wantFields, fields); diff != "" {
			t.Errorf("fields of %q (-want +got):\n%s", line, diff)
		}
		stamp, err := d.TimeBytes()
		if err != nil {
			t.Fatalf("time of %q: %v", line, err)
		}
		if got := string(stamp); got != string(appendInt(at)) {
			t.Errorf("time %s of %q, want %d", got, line, at)
		}
		if d.Next() {
			t.Errorf("a second line in %q", line)
		}
	})
}

func appendInt(i int64) []byte {
	v := jauge.IntValue(0, i)
	b := appendField(nil, jauge.Integer, &v)
	return b[:len(b)-1]
}

func TestTagText(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", `a\b`: `a\b`, `a\`: "a/", `a\\`: "a//", "a\nb\r": "a b ", "a\\\n": `a\ `,
	} {
		if got := tagText(in); got != want {
			t.Errorf("tagText(%q) = %q, want %q", in, got, want)
		}
	}
}
