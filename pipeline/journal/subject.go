package journal

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"jauge.dev/jauge"
)

// Subjects: jauge.page.<platform>.<account> holds work, jauge.archive.… what was settled, jauge.dead.….<id> letters.
const (
	workPrefix    = "jauge.page."
	archivePrefix = "jauge.archive."
	deadPrefix    = "jauge.dead."
)

// longestToken bounds a subject's token: the server refuses subjects beyond its control line.
const longestToken = 1024

// token writes any text as one token of a subject, so that it can be read back and two texts never share one: letters,
// digits and "-" stand for themselves, any other byte is "_" and two hex digits, the empty text is "_".
func token(s string) string {
	if s == "" {
		return "_"
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('_')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	return b.String()
}

// untoken reads a token back.
func untoken(t string) (string, error) {
	if t == "_" {
		return "", nil
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] != '_' {
			b.WriteByte(t[i])
			continue
		}
		if i+2 >= len(t) {
			return "", fmt.Errorf("token %q ends early", t)
		}
		c, err := hex.DecodeString(t[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("token %q: %w", t, err)
		}
		b.WriteByte(c[0])
		i += 2
	}
	return b.String(), nil
}

// address names an account within a subject: "<platform>.<account>".
func address(k jauge.Key) (string, error) {
	p, a := token(string(k.Platform)), token(k.Account)
	if len(p) > longestToken || len(a) > longestToken {
		return "", fmt.Errorf("account id of %d bytes is too long for the journal", len(k.Account))
	}
	return p + "." + a, nil
}

// keyOf reads the account back from a subject below a prefix.
func keyOf(subject, prefix string) (jauge.Key, error) {
	rest, ok := strings.CutPrefix(subject, prefix)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) < 2 {
		return jauge.Key{}, fmt.Errorf("subject %q names no account", subject)
	}
	p, err := untoken(parts[0])
	if err != nil {
		return jauge.Key{}, err
	}
	a, err := untoken(parts[1])
	if err != nil {
		return jauge.Key{}, err
	}
	return jauge.Key{Platform: jauge.Platform(p), Account: a}, nil
}

// messageID is what makes a repeated Append one message: run, sequence, account and part. A hash of the contents would
// swallow the third reading of A, B, A.
func messageID(p *jauge.Page, addr string) string {
	return token(p.Run) + "." + strconv.Itoa(p.Seq) + "." + addr + "." + strconv.Itoa(p.Part)
}

// runOf reads run and sequence back from a message's id; they are zero where it is not one of ours.
func runOf(id string) (run string, seq int) {
	parts := strings.Split(id, ".")
	if len(parts) < 2 {
		return "", 0
	}
	run, err := untoken(parts[0])
	if err != nil {
		return "", 0
	}
	if seq, err = strconv.Atoi(parts[1]); err != nil {
		return "", 0
	}
	return run, seq
}
