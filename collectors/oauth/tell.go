package oauth

import (
	"log/slog"
	"time"
)

// tell alerts about a change of state of a grant, and of each of its accounts.
func (v *Vault) tell(was, is *record) {
	p := v.providers[is.Provider]
	if was.State != is.State && !is.Pending {
		v.announce(Change{Grant: is.grant(p), Was: was.State, WasCause: was.Cause})
	}
	before := map[string]*followRecord{}
	for i := range was.Follows {
		before[was.Follows[i].key()] = &was.Follows[i]
	}
	for i := range is.Follows {
		f := &is.Follows[i]
		old, known := before[f.key()]
		if !known || old.State == f.State {
			continue
		}
		follow := f.follow()
		v.announce(Change{Grant: is.grant(p), Was: old.State, WasCause: old.Cause, Follow: &follow})
	}
}

// announce writes the one line of a change and calls OnChange.
func (v *Vault) announce(c Change) {
	state, cause := c.Grant.State, c.Grant.Cause
	attrs := []any{"grant", c.Grant.ID, "provider", c.Grant.Provider, "holder", c.Grant.Holder.Handle}
	if c.Follow != nil {
		state, cause = c.Follow.State, c.Follow.Cause
		if state == "" {
			state = StateOK
		}
		attrs = append(attrs, "account", followKey(c.Follow.Platform, c.Follow.ID))
	}
	was := c.Was
	if was == "" {
		was = StateOK
	}
	attrs = append(attrs, "state", string(state), "cause", string(cause), "was", string(was))
	if !c.Grant.ExpiresAt.IsZero() {
		attrs = append(attrs, "expires_at", c.Grant.ExpiresAt.Format(time.RFC3339))
	}
	if todo := Advice(state, cause); todo != "" {
		attrs = append(attrs, "advice", todo)
	}
	level := slog.LevelInfo
	switch {
	case cause == CauseDisconnected:
	case state.Parked():
		level = slog.LevelError
	case state != StateOK:
		level = slog.LevelWarn
	}
	v.log.Log(v.life, level, "grant has another state", attrs...)
	if v.deps.OnChange != nil {
		v.deps.OnChange(c)
	}
}
