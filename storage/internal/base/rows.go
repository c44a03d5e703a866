// Package base holds what the stores share: a checked query, the sorting out of invalid rows, the instruments.
package base

import (
	"errors"

	"jauge.dev/jauge"
)

// Valid gives the rows that a store can hold and names the others. Where all are valid it returns rows itself.
func Valid(rows []jauge.Record) ([]jauge.Record, *jauge.RejectedError) {
	var refused *jauge.RejectedError
	var out []jauge.Record
	for i := range rows {
		err := rows[i].Validate()
		if err == nil {
			if refused != nil {
				out = append(out, rows[i])
			}
			continue
		}
		if refused == nil {
			refused = &jauge.RejectedError{}
			out = append(make([]jauge.Record, 0, len(rows)), rows[:i]...)
		}
		Reject(refused, rows[i], err.Error())
	}
	if refused == nil {
		return rows, nil
	}
	return out, refused
}

// Reject adds a row to those that the store will never take.
func Reject(to *jauge.RejectedError, r jauge.Record, why string) {
	to.Rows, to.Reasons = append(to.Rows, r), append(to.Reasons, why)
}

// CheckKey refuses a row whose key is not whole: no schema, or not all tags.
func CheckKey(r *jauge.Record) error {
	if r.Schema == nil || len(r.Tags) != len(r.Schema.Tags) {
		return &jauge.Error{
			Op: "delete row", Reason: jauge.ReasonBadRequest, Err: errors.New("a key needs a schema and all its tags"),
		}
	}
	return nil
}
