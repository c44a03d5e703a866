// Package pipeline turns pages from the journal into rows: it normalises wire names to canonical metrics, takes the
// differences of lifetime counters as daily activity, folds days into windows and evaluates KPIs. It owns the rules of
// docs/rules.md; it knows no store and no journal but through the interfaces in contract.go, touches no clock (time is
// the time of events) and keeps nothing in memory that it could not read back.
package pipeline
