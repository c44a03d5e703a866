package journal

import (
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
	if err != nil {
		return nil, err
	}
	if len(whole) <= limit {
		return []part{{messageID(p, addr), whole}}, nil
	}
	chunks, err := cut(p, p.Observations, len(whole), limit)
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

// cut divides observations into runs that fit: by the mean size first, then again where a run is still too big.
func cut(p *jauge.Page, obs []jauge.Observation, size, limit int) ([][]jauge.Observation, error) {
	if size+partRoom <= limit {
		return [][]jauge.Observation{obs}, nil
	}
	if len(obs) < 2 {
		id := ""
		if len(obs) == 1 {
			id = obs[0].ID
		}
		return nil, fmt.Errorf("%s: observation %q is too big for one message of %d bytes", p.Key(), id, limit)
	}
	pieces := min(max(2, size/limit+1), len(obs))
	var out [][]jauge.Observation
	for i := range pieces {
		run := obs[i*len(obs)/pieces : (i+1)*len(obs)/pieces]
		q := *p
		q.Observations = run
		b, err := Encode(nil, &q)
		if err != nil {
			return nil, err
		}
		more, err := cut(p, run, len(b), limit)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}
