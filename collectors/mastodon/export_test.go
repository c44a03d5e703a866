package mastodon

import (
	"time"

	"jauge.dev/jauge"
)

// Excerpt shows excerpt to tests.
var Excerpt = excerpt

// DecodePage does to a listing's body what the collector does, without a network.
func DecodePage(b []byte) ([]jauge.Observation, error) {
	var a answer[[]status]
	if err := a.DecodeJSON(b); err != nil {
		return nil, err
	}
	var obs []jauge.Observation
	for i := range a.v {
		if at, ok := a.v[i].published(); ok && a.v[i].ID != "" {
			obs = append(obs, a.v[i].observation(at))
		}
	}
	return obs, nil
}

// DecodeAccount does the same to an account.
func DecodeAccount(b []byte) (values []jauge.WireValue, suspended bool, err error) {
	var a answer[account]
	if err := a.DecodeJSON(b); err != nil {
		return nil, false, err
	}
	return wiredAccount(&a.v), a.v.Suspended, nil
}

// Published reads an instant as the collector does.
func Published(s string) (time.Time, bool) { return (&status{CreatedAt: s}).published() }
