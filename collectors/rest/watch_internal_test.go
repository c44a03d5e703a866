package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func FuzzNotice(f *testing.F) {
	for _, s := range [][3]string{
		{"@1688169599", "Sat, 31 Dec 2026 23:59:59 GMT", `<https://x.test/why?a=b#c>; rel="deprecation"`},
		{"true", "", "<"}, {"@99999999999999999999", "soon", `<%zz>; rel=sunset`}, {"", "", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, deprecation, sunset, link string) {
		n, ok := noticeOf(http.Header{"Deprecation": {deprecation}, "Sunset": {sunset}, "Link": {link}})
		if ok != (n.deprecated != "" || n.sunset != "") {
			t.Errorf("%+v %v", n, ok)
		}
		if strings.ContainsAny(n.link, "?#") || len(n.link) > 2000 {
			t.Errorf("link %q", n.link)
		}
		if _, err := time.Parse(time.DateOnly, n.sunset); n.sunset != "" && err != nil {
			t.Errorf("ends %q", n.sunset)
		}
	})
}
