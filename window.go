package jauge

import "fmt"

// Window is the stretch of days that a KPI is computed over; it ends with its last day.
type Window string

// The windows of this release.
const (
	WindowDay    Window = "day"
	WindowDays7  Window = "7d"
	WindowDays28 Window = "28d"
)

// Windows lists the windows, shortest first.
func Windows() []Window { return []Window{WindowDay, WindowDays7, WindowDays28} }

// Days returns how many calendar days the window holds, 0 for an unknown one.
func (w Window) Days() int {
	switch w {
	case WindowDay:
		return 1
	case WindowDays7:
		return 7
	case WindowDays28:
		return 28
	}
	return 0
}

// ParseWindow reads a window's name.
func ParseWindow(s string) (Window, error) {
	if w := Window(s); w.Days() > 0 {
		return w, nil
	}
	return "", fmt.Errorf("%q is not a window: choose one of day, 7d, 28d", s)
}

// KPI is the definition of a key performance indicator: a formula in text over metrics in a window.
type KPI struct {
	Name    string
	Formula string // one division at most, at the top: the numerator and denominator are stored beside the value
	English string
	French  string
	Phase   string // awareness, interaction, …
	Version string // changes whenever formula or weights change; stored with every value
	Off     bool   // switched off in config
}
