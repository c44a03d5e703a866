package pages

import (
	"cmp"
	"strings"
)

// State names a grant's state.
func (v *view) State(state string) string { return cmp.Or(v.First("state."+state), state) }

// AccountState names what the platform says of an account.
func (v *view) AccountState(state string) string { return cmp.Or(v.First("account."+state), state) }

// Warning puts a warning into words: ours, or its own where we have none for its kind.
func (v *view) Warning(w Warning) string {
	key := "warning." + w.Kind
	if !v.has(key) {
		return w.Text
	}
	return v.T(key, "platform", cmp.Or(v.First("platform."+w.Platform), w.Platform), "subject", w.Subject)
}

// List joins names: "a, b and c".
func (v *view) List(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " " + v.T("gallery.and") + " " + names[last]
}

// Broken cuts a handle where a line may break: before the server of @name@server.
func (v *view) Broken(handle string) []string {
	if i := strings.LastIndexByte(handle, '@'); i > 0 {
		return []string{handle[:i], handle[i:]}
	}
	return []string{handle}
}
