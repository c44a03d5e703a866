// Package configs reads what the operator set: the environment (prefix JAUGE_, flags beat it) for everything that is
// one value, and one YAML file for everything that is a list.
//
//	flags ─┐
//	env   ─┼─▶ Settings (every room's Config, prefixed) ─┐
//	_FILE ─┘                                             ├─▶ Config, or Mistakes: all of them at once
//	YAML  ───▶ File (brands, KPIs, schedules)            ┘
//
// It composes the Config structs of the rooms and is imported by cmd only. It must not act on what it reads: no
// connection, no directory, nothing but the files that it is told to read.
package configs
