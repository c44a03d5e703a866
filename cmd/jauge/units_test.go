package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/configs"
)

func TestPrintersWriteAbsentAsAbsent(t *testing.T) {
	rows := [][]any{
		{"acme", 3.0, nil, true, "two\nlines, one comma"},
		{"", 0.30000000000000004, 1e21, false, "é"},
	}
	for format, want := range map[string]string{
		formatTable: "A     B    C      D      E\nacme  3    -      true   two lines, one comma\n-     0.3  1e+21  false  é\n",
		formatJSON: "[\n  {\"a\": \"acme\", \"b\": 3, \"c\": null, \"d\": true, \"e\": \"two\\nlines, one comma\"},\n" +
			"  {\"a\": \"\", \"b\": 0.30000000000000004, \"c\": 1e+21, \"d\": false, \"e\": \"é\"}\n]\n",
		formatCSV: "a,b,c,d,e\nacme,3,,true,\"two\nlines, one comma\"\n,0.30000000000000004,1e+21,false,é\n",
	} {
		var b bytes.Buffer
		p, err := newPrinter(&b, format, []string{"a", "b", "c", "d", "e"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := p.row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestJSONWithoutRowsIsAnEmptyArray(t *testing.T) {
	var b bytes.Buffer
	p, err := newPrinter(&b, formatJSON, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil || b.String() != "[]\n" {
		t.Errorf("gave %q, %v", b.String(), err)
	}
}

func TestSpan(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		s        span
		from, to time.Time
	}{
		{s: span{}},
		{s: span{from: "2026-11-01"}, from: at("2026-11-01T00:00:00Z")},
		{s: span{to: "2026-11-01"}, to: at("2026-11-02T00:00:00Z")}, // a date counts in whole
		{s: span{from: "2026-11-01", to: "2026-11-01"}, from: at("2026-11-01T00:00:00Z"), to: at("2026-11-02T00:00:00Z")},
		{s: span{from: "7d", to: "12h"}, from: at("2026-11-15T12:00:00Z"), to: at("2026-11-22T00:00:00Z")},
		{s: span{from: "2026-11-01T02:00:00+02:00"}, from: at("2026-11-01T00:00:00Z")},
	} {
		from, to, err := tt.s.parse(now)
		if err != nil || !from.Equal(tt.from) || !to.Equal(tt.to) {
			t.Errorf("%+v gave %s to %s (%v), want %s to %s", tt.s, from, to, err, tt.from, tt.to)
		}
	}
	for _, s := range []span{{from: "soon"}, {to: "-1d"}, {from: "2026-11-02", to: "2026-11-01"}, {from: "1h", to: "2h"}} {
		_, _, err := s.parse(now)
		if _, ok := errors.AsType[*usageError](err); !ok {
			t.Errorf("%+v gave %v, want wrong usage", s, err)
		}
	}
}

func TestLockHasOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != dirMode {
		t.Errorf("the data directory has mode %v (%v), want %o", fi.Mode(), err, dirMode)
	}
	_, err = takeLock(dir)
	busy, ok := errors.AsType[*busyError](err)
	if !ok || busy.pid != os.Getpid() || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second owner was told %v, want the first one's number", err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	if l, err = takeLock(dir); err != nil {
		t.Fatalf("the directory is not free after its release: %v", err)
	}
	if err := l.release(); err != nil {
		t.Error(err)
	}
}

func TestUndosGoBackwardsOnceAndGoOn(t *testing.T) {
	var u undos
	var order []string
	for _, name := range []string{"first", "second", "third"} {
		u.push(name, func(context.Context) error {
			order = append(order, name)
			if name == "first" {
				return nil
			}
			return errors.New("stuck")
		})
	}
	err := u.all(t.Context(), slog.New(slog.DiscardHandler))
	if diff := cmp.Diff([]string{"third", "second", "first"}, order); diff != "" {
		t.Error("order (-want +got):\n" + diff)
	}
	if err == nil || err.Error() != "close third: stuck\nclose second: stuck" {
		t.Errorf("the failures were told as %v", err)
	}
	if err := u.all(t.Context(), slog.New(slog.DiscardHandler)); err != nil || len(order) != 3 {
		t.Errorf("a second time did something: %v, %v", order, err)
	}
}

func TestCatalogueWithOwnEntries(t *testing.T) {
	own := []configs.KPI{
		{KPI: jauge.KPI{Name: "likes", French: "Cœurs"}},
		{KPI: jauge.KPI{Name: "shares", Off: true}},
		{KPI: jauge.KPI{Name: "mine", Formula: "likes / followers"}},
	}
	all := catalogueWith(own)
	find := func(name string) jauge.KPI {
		i := slices.IndexFunc(all, func(k jauge.KPI) bool { return k.Name == name })
		if i < 0 {
			t.Fatalf("%s is gone", name)
		}
		return all[i]
	}
	if k := find("likes"); k.French != "Cœurs" || k.Formula != "likes" || k.English != "Likes" {
		t.Errorf("a label replaced more than itself: %+v", k)
	}
	if !find("shares").Off || find("mine").Formula != "likes / followers" {
		t.Errorf("switched off %+v, added %+v", find("shares"), find("mine"))
	}
}

func TestCheckKPI(t *testing.T) {
	for _, tt := range []struct {
		k    jauge.KPI
		want string // part of the error, "" for none
	}{
		{jauge.KPI{Name: "likes", Off: true}, ""},
		{jauge.KPI{Name: "likes", English: "Hearts"}, ""},
		{jauge.KPI{Name: "mine", Formula: "likes / followers"}, ""},
		{jauge.KPI{Name: "mine", Off: true}, "there is none of that name"},
		{jauge.KPI{Name: "mine"}, "has no formula"},
		{jauge.KPI{Name: "mine", Formula: "hearts / followers"}, "hearts"},
		{jauge.KPI{Name: "mine", Formula: "likes /"}, "formula"},
	} {
		err := checkKPI(configs.File{}, configs.KPI{KPI: tt.k})
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v gave %v, want %q", tt.k, err, tt.want)
		}
	}
}

func TestSameWorkLooksAtEverythingButAccounts(t *testing.T) {
	base := func() configs.File {
		return configs.File{
			Brands: []configs.Brand{{Name: "acme"}}, KPIs: []configs.KPI{{KPI: jauge.KPI{Name: "mine", Formula: "likes"}, Line: 3}},
			Schedules: map[jauge.Platform]string{jauge.Bluesky: "@hourly"},
		}
	}
	was := base()
	for name, tt := range map[string]struct {
		change func(*configs.File)
		same   bool
	}{
		"nothing":    {func(*configs.File) {}, true},
		"brands":     {func(f *configs.File) { f.Brands = nil }, true},
		"a line":     {func(f *configs.File) { f.KPIs[0].Line = 9 }, true},
		"a formula":  {func(f *configs.File) { f.KPIs[0].Formula = "shares" }, false},
		"a schedule": {func(f *configs.File) { f.Schedules[jauge.Bluesky] = "@daily" }, false},
		"a basis":    {func(f *configs.File) { f.Basis = map[jauge.Platform]jauge.Metric{jauge.Bluesky: jauge.Reach} }, false},
	} {
		is := base()
		tt.change(&is)
		if got := sameWork(&was, &is); got != tt.same {
			t.Errorf("%s: same work is %t, want %t", name, got, tt.same)
		}
	}
}
