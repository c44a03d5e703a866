package journal

import (
	"strings"
	"testing"

	"jauge.dev/jauge"
)

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "did:plc:abc", "1@mastodon.example", "_", "__", "a_2e", "a.b c*>\r\n", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tok := token(s)
		if tok == "" || strings.ContainsAny(tok, ". *>\t\r\n") {
			t.Errorf("%q gives %q, which is no token", s, tok)
		}
		back, err := untoken(tok)
		if err != nil || back != s {
			t.Errorf("%q came back as %q (%v)", s, back, err)
		}
	})
}

func TestIDsNameRunAndSequence(t *testing.T) {
	p := jauge.Page{Run: "a.b~c", Seq: 42, Part: 1}
	if run, seq := runOf(messageID(&p, "bluesky.x") + "~replay"); run != p.Run || seq != p.Seq {
		t.Errorf("run %q, sequence %d", run, seq)
	}
	for _, id := range []string{"", "x", "a.b", "_zz.1", "_2.1"} {
		if run, seq := runOf(id); run != "" || seq != 0 {
			t.Errorf("%q gives run %q, sequence %d", id, run, seq)
		}
	}
}

func TestSubjectsNameTheAccount(t *testing.T) {
	for _, k := range []jauge.Key{{Platform: "bluesky", Account: "did:plc:abc"}, {Platform: "mastodon", Account: "109@m.example"}, {Platform: "x", Account: ""}, {Platform: "", Account: "."}} {
		addr, err := address(k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keyOf(workPrefix+addr, workPrefix)
		if err != nil || got != k {
			t.Errorf("%v came back as %v (%v)", k, got, err)
		}
	}
	for _, s := range []string{"", workPrefix, workPrefix + "bluesky", "other.bluesky.x", workPrefix + "a.b_", workPrefix + "a.b_zz"} {
		if k, err := keyOf(s, workPrefix); err == nil {
			t.Errorf("%q was read as %v", s, k)
		}
	}
	if _, err := address(jauge.Key{Platform: "x", Account: strings.Repeat("a", longestToken+1)}); err == nil {
		t.Error("an endless account id was taken")
	}
}
