package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// The formats of output.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

// formatFlag adds --format to a command.
func formatFlag(cmd *cobra.Command, allowed ...string) *string {
	return cmd.Flags().String("format", allowed[0], "how to print: "+strings.Join(allowed, ", "))
}

func checkFormat(format string, allowed ...string) error {
	if !slices.Contains(allowed, format) {
		return usagef("--format %q is unknown: choose one of %s", format, strings.Join(allowed, ", "))
	}
	return nil
}

// printer prints rows one by one; a cell is a text, a number, a truth, or nil where the value is absent.
type printer interface {
	row(cells []any) error
	end() error
}

func newPrinter(w io.Writer, format string, columns []string) (printer, error) {
	switch format {
	case formatJSON:
		b := bufio.NewWriter(w)
		return &jsonPrinter{w: b, columns: columns}, nil
	case formatCSV:
		p := &csvPrinter{w: csv.NewWriter(w)}
		return p, p.w.Write(columns)
	}
	p := &tablePrinter{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} //nolint:mnd // two spaces between columns
	_, err := fmt.Fprintln(p.w, strings.ToUpper(strings.Join(columns, "\t")))
	return p, err
}

// jsonPrinter writes an array of objects, one a line, keys in the order of the columns.
type jsonPrinter struct {
	w       *bufio.Writer
	columns []string
	n       int
}

func (p *jsonPrinter) row(cells []any) error {
	sep := "[\n"
	if p.n > 0 {
		sep = ",\n"
	}
	p.n++
	_, _ = p.w.WriteString(sep + "  {") // a bufio.Writer keeps its error until Flush
	for i, c := range p.columns {
		if i > 0 {
			_, _ = p.w.WriteString(", ")
		}
		key, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("print column %s: %w", c, err)
		}
		value, err := json.Marshal(cells[i])
		if err != nil {
			return fmt.Errorf("print column %s: %w", c, err)
		}
		_, _ = p.w.Write(append(append(key, ':', ' '), value...))
	}
	_, err := p.w.WriteString("}")
	return err
}

func (p *jsonPrinter) end() error {
	text := "\n]\n"
	if p.n == 0 {
		text = "[]\n"
	}
	_, _ = p.w.WriteString(text)
	return p.w.Flush()
}

type csvPrinter struct{ w *csv.Writer }

func (p *csvPrinter) row(cells []any) error {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = plain(c, "")
	}
	return p.w.Write(out)
}

func (p *csvPrinter) end() error {
	p.w.Flush()
	return p.w.Error()
}

type tablePrinter struct{ w *tabwriter.Writer }

func (p *tablePrinter) row(cells []any) error {
	out := make([]string, len(cells))
	for i, c := range cells {
		if f, ok := c.(float64); ok {
			out[i] = short(f)
			continue
		}
		out[i] = oneLine(plain(c, "-"))
	}
	_, err := fmt.Fprintln(p.w, strings.Join(out, "\t"))
	return err
}

func (p *tablePrinter) end() error { return p.w.Flush() }

// plain writes a cell as text without loss.
func plain(c any, absent string) string {
	switch v := c.(type) {
	case nil:
		return absent
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		if v {
			return "true"
		}
		return "false"
	case string:
		if v == "" {
			return absent
		}
		return v
	}
	return fmt.Sprint(c)
}

// short writes a number for the eye: whole ones whole, others with six significant digits.
func short(f float64) string {
	const exact = 1 << 53
	if f == float64(int64(f)) && f < exact && f > -exact {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', 6, 64)
}

// oneLine keeps a text from breaking the table: a post's excerpt may hold anything.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// orNil makes an empty text an absent cell.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// whenOrNil makes an instant that never was an absent cell.
func whenOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
