package jauge

import "time"

// DataThrough says how far the stored data of one metric of one account reach. A metric that the store has never
// held for an account has no DataThrough.
type DataThrough struct {
	Platform Platform
	Account  string // the account's stable id
	Metric   Metric
	// ReadAt is the newest reading that bears the metric, UTC: of the account itself (its instant rows), or of any of
	// its posts (their observed_at). Zero where the metric only exists per day.
	ReadAt time.Time
	// Day is the newest reporting day (YYYY-MM-DD) that has a figure of the metric, from the platform's own day rows
	// or from what the posts gained; empty where there is none. The day may still be running.
	Day string
}
