package journal

import (
	"errors"
	"fmt"

	"jauge.dev/jauge"
)

// part is a piece of a page, ready to be published.
type part struct {
	id   string
	body []byte
}

// split encodes a page in parts of at most limit bytes each, cut between observations. Parts are numbered from the
// page's own Part on, and only the last bears Complete. The same page and limit give the same parts.
func split(p *jauge.Page, addr string, limit int) ([]part, error) {
	whole, err := Encode(nil, p)
	if err == nil && len(whole) <= limit {
		return []part{{messageID(p, addr), whole}}, nil
	}
	chunks, err := cut(p, p.Observations, limit)
	if err != nil {
		return nil, err
	}
	out := make([]part, 0, len(chunks))
	for i, c := range chunks {
		q := *p
		q.Observations, q.Part, q.Complete = c, p.Part+i, p.Complete && i == len(chunks)-1
		b, err := Encode(nil, &q)
		if err != nil {
			return nil, err
		}
		out = append(out, part{messageID(&q, addr), b})
	}
	return out, nil
}

// partRoom is kept free for what the part's number may need beyond the page's.
const partRoom = 16

// cut divides observations into runs that fit, by halves.
func cut(p *jauge.Page, obs []jauge.Observation, limit int) ([][]jauge.Observation, error) {
	q := *p
	q.Observations = obs
	b, err := Encode(nil, &q)
	switch {
	case err == nil && len(b)+partRoom <= limit:
		return [][]jauge.Observation{obs}, nil
	case err != nil && !errors.Is(err, errTooLong):
		return nil, err
	case len(obs) < 2:
		id := ""
		if len(obs) == 1 {
			id = obs[0].ID
		}
		return nil, fmt.Errorf("%s: observation %q is too big for one message of %d bytes", p.Key(), id, limit)
	}
	first, err := cut(p, obs[:len(obs)/2], limit)
	if err != nil {
		return nil, err
	}
	second, err := cut(p, obs[len(obs)/2:], limit)
	return append(first, second...), err
}
