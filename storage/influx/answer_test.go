package influx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// flat is an answer as a list of texts, the same from both decoders.
type flat []string

func ours(text string) (flat, error) {
	var out flat
	err := decode(iotest.OneByteReader(strings.NewReader(text)), sink{
		statement: func(id int) { out = append(out, fmt.Sprint("statement ", id)) },
		series: func(tags map[string]string, columns []string) error {
			out = append(out, fmt.Sprintf("series %q %q", tags, columns))
			return nil
		},
		row: func(cells []cell) (bool, error) {
			line := "row"
			for _, c := range cells {
				line += fmt.Sprintf(" %c%q", c.kind, c.text)
			}
			out = append(out, line)
			return true, nil
		},
	})
	return out, err
}

// theirs reads an answer with the standard library; ok is false where the text is no answer as the server writes it.
func theirs(text string) (out flat, ok bool) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	for {
		var a struct {
			Results []struct {
				ID     *int `json:"statement_id"`
				Series []struct {
					Tags    map[string]string
					Columns []string
					Values  [][]any
				}
			}
		}
		err := dec.Decode(&a)
		if errors.Is(err, io.EOF) {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		for _, r := range a.Results {
			if r.ID != nil {
				out = append(out, fmt.Sprint("statement ", *r.ID))
			}
			for _, s := range r.Series {
				out = append(out, fmt.Sprintf("series %q %q", s.Tags, s.Columns))
				for _, row := range s.Values {
					line := "row"
					for _, v := range row {
						line += plainCell(v)
					}
					out = append(out, line)
				}
			}
		}
	}
}

func plainCell(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf(" s%q", v)
	case json.Number:
		return fmt.Sprintf(" 0%q", string(v))
	case bool:
		return map[bool]string{true: ` t""`, false: ` f""`}[v]
	case nil:
		return ` n""`
	}
	return " other"
}

var answers = []string{
	`{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","f"],"values":[[1,2.5],[2,null]],"partial":true}],"partial":true}]}
{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","f"],"values":[[3,-1e+23]]}]}]}
`,
	`{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"a":"x y","b":""},"columns":["time","s","t"],"values":` +
		`[[1,"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00",true],[2,"\ud83d","x"],[3,"\ud83d\u0041",false],[4,"日本",null]]}]},{"statement_id":1}]}`,
	`{"results":[{"statement_id":0,"messages":[{"level":"warning","text":"deprecated","n":[1,{"a":null}]}]}]}`,
	` { "results" : [ ] } `,
	`{"results":null}`,
	`{}`,
	``,
}

func TestDecode(t *testing.T) {
	for _, text := range answers {
		want, ok := theirs(text)
		if !ok {
			t.Fatalf("%s is no answer", text)
		}
		got, err := ours(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

func TestDecodeFailures(t *testing.T) {
	for _, text := range []string{
		`{"results":[{"statement_id":0,"series":[{"values":[[1,2`, `{"results":[{"series":[{"values":[["open`, `[`, `{"a"`, `{"a":}`,
		`{"a":tru}`, `{"a":1,}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `<html>`, `{"a":` + strings.Repeat("[", 10_000), `{1:2}`,
		`{"a":` + strings.Repeat("1", 10_000) + `}`,
	} {
		if out, err := ours(text); err == nil {
			t.Errorf("%.40s: no error, %v", text, out)
		}
	}
	_, err := ours(`{"results":[{"statement_id":0,"error":"database not found: x"}]}`)
	if said, ok := errors.AsType[serverError](err); !ok || said != "database not found: x" {
		t.Errorf("the server's own error came back as %v", err)
	}
	if _, err := ours(`{"results":[{"series":[{"values":[[1`); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an answer cut short: %v", err)
	}
}

// FuzzDecode never panics, and where both decoders take a text they agree.
func FuzzDecode(f *testing.F) {
	for _, a := range answers {
		f.Add(a)
	}
	f.Add(`{"results":[{"series":[{"columns":["time"],"values":[[1]],"values":[[2]]}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ours(text)
		if err != nil || !json.Valid([]byte(text)) || !asWritten(text) {
			return
		}
		if want, ok := theirs(text); ok {
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%q (-want +got):\n%s", text, d)
			}
		}
	})
}

// asWritten tells whether a text has the form that the server gives it: the members in its order, each once, in lower
// case, and no invalid UTF-8. The standard library gathers others where ours streams.
func asWritten(text string) bool {
	var top struct {
		Results []map[string]json.RawMessage `json:"results"`
	}
	if strings.ToValidUTF8(text, "") != text || json.Unmarshal([]byte(text), &top) != nil {
		return false
	}
	canonical := `{"results":[`
	for i, r := range top.Results {
		if i > 0 {
			canonical += ","
		}
		var series []struct {
			Tags    map[string]string `json:"tags"`
			Columns []string          `json:"columns"`
			Values  [][]any           `json:"values"`
		}
		if json.Unmarshal(r["series"], &series) != nil {
			return false
		}
		again, err := json.Marshal(series)
		if err != nil || string(again) != string(r["series"]) || len(r) != 2 {
			return false
		}
		canonical += fmt.Sprintf(`{"statement_id":%s,"series":%s}`, r["statement_id"], again)
	}
	return canonical+"]}" == text
}
