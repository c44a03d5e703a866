package journal

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tinylib/msgp/msgp"

	"jauge.dev/jauge"
)

func (d *decoder) readValues(b []byte, shape int, o *jauge.Observation) ([]byte, error) {
	n, b, err := readArrayHeader(b)
	if err != nil {
		return b, err
	}
	if shape < 0 || shape >= len(d.shapes) || len(d.shapes[shape]) != n {
		return b, fmt.Errorf("%d values do not fit shape %d", n, shape)
	}
	if cap(d.slab)-len(d.slab) < n {
		d.slab = make([]jauge.WireValue, 0, max(n, valueSlab))
	}
	from := len(d.slab)
	for _, t := range d.shapes[shape] {
		var v float64
		if v, b, err = readValue(b); err != nil {
			return b, err
		}
		d.slab = append(d.slab, jauge.WireValue{Wire: d.texts[t], Value: v})
	}
	if n > 0 {
		o.Values = d.slab[from:len(d.slab):len(d.slab)]
	}
	return b, nil
}

func readValue(b []byte) (float64, []byte, error) {
	if msgp.NextType(b) == msgp.Float64Type {
		v, b, err := msgp.ReadFloat64Bytes(b)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			err = fmt.Errorf("%v is no value", v)
		}
		return v, b, err
	}
	i, b, err := msgp.ReadInt64Bytes(b)
	return float64(i), b, err
}

func readInstant(b []byte) (time.Time, []byte, error) {
	if msgp.NextType(b) != msgp.ArrayType {
		ns, b, err := msgp.ReadInt64Bytes(b)
		return time.Unix(0, ns).UTC(), b, err
	}
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || n != 2 {
		return time.Time{}, b, errors.Join(err, fmt.Errorf("an instant has 2 parts, not %d", n))
	}
	sec, b, err := msgp.ReadInt64Bytes(b)
	if err != nil {
		return time.Time{}, b, err
	}
	ns, b, err := msgp.ReadInt64Bytes(b)
	if err == nil && (ns < 0 || ns >= int64(time.Second)) {
		err = fmt.Errorf("%d nanoseconds are no part of a second", ns)
	}
	return time.Unix(sec, ns).UTC(), b, err
}

// readArrayHeader refuses a length that the rest of the message could not hold.
func readArrayHeader(b []byte) (int, []byte, error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err == nil && uint64(n) > uint64(len(b)) {
		err = errTruncated
	}
	return int(n), b, err
}

// known spares an allocation for the texts that nearly every page has.
func known(s []byte) string {
	switch string(s) {
	case string(jauge.ObjectPost):
		return string(jauge.ObjectPost)
	case string(jauge.ObjectAccount):
		return string(jauge.ObjectAccount)
	case string(jauge.PeriodLifetime):
		return string(jauge.PeriodLifetime)
	case string(jauge.PeriodInstant):
		return string(jauge.PeriodInstant)
	case string(jauge.PostLive):
		return string(jauge.PostLive)
	case string(jauge.FormatText):
		return string(jauge.FormatText)
	}
	return string(s)
}
