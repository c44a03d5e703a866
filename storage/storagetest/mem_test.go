package storagetest_test

import (
	"errors"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/storagetest"
)

func kpi(at int64, value float64) jauge.Record {
	s := jauge.SchemaOf(jauge.SocialKPI)
	return jauge.Record{
		Schema: s, Time: at, Tags: []string{"acme", "bluesky", "did:a", "likes", "day"},
		Values: []jauge.Value{jauge.FloatValue(s.Column("value"), value)},
	}
}

func TestMemFaults(t *testing.T) {
	m := storagetest.NewMem()
	m.FailWrites(2, 3)
	for n, want := range []bool{true, false, false, true} {
		err := m.Write(t.Context(), []jauge.Record{kpi(int64(n), 1)})
		if (err == nil) != want {
			t.Errorf("write %d: %v", n+1, err)
		}
		if err != nil && !jauge.ReasonOf(err).Temporary() {
			t.Errorf("write %d: %v is not temporary", n+1, err)
		}
	}
	if got := len(m.All(jauge.SocialKPI)); got != 2 {
		t.Errorf("%d rows, want the 2 of the writes that did not fail", got)
	}
	m.Fault(nil)
	m.Reject(func(r *jauge.Record) string {
		if r.Time == 11 {
			return "eleven"
		}
		return ""
	})
	err := m.Write(t.Context(), []jauge.Record{kpi(10, 1), kpi(11, 1), kpi(12, 1)})
	rejected, ok := errors.AsType[*jauge.RejectedError](err)
	if !ok || len(rejected.Rows) != 1 || rejected.Rows[0].Time != 11 || rejected.Reasons[0] != "eleven" {
		t.Errorf("write with a bad row: %v", err)
	}
	if got := m.Calls(); got.Writes != 5 || got.Rows != 4 {
		t.Errorf("calls %+v, want 5 writes and 4 rows", got)
	}
}

func TestMemKeepsItsOwnCopies(t *testing.T) {
	m := storagetest.NewMem()
	r := kpi(int64(time.Second), 1)
	if err := m.Write(t.Context(), []jauge.Record{r}); err != nil {
		t.Fatal(err)
	}
	r.Values[0], r.Tags[0] = jauge.FloatValue(r.Values[0].Col, 2), "rival"
	m.All(jauge.SocialKPI)[0].Tags[0] = "rival"
	got := m.All(jauge.SocialKPI)
	if v, _ := got[0].Float("value"); v != 1 || got[0].Tags[0] != "acme" {
		t.Errorf("the stored row changed with the caller's: %v", got[0])
	}
}

func TestMemKeepsTheContract(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Store { return storagetest.NewMem() })
}
