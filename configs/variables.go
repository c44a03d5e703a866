package configs

import _ "embed"

// variables.md is written from the code by go generate; a test says when it is out of date.
//
//go:embed variables.md
var variablesTable string

// VariablesTable returns the table of all variables, in Markdown, as it stands in the README.
func VariablesTable() string { return variablesTable }
