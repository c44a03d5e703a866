package main

import (
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/configs"
)

// ladderOf is the re-read ladder that is in force.
func ladderOf(cfg *configs.Config) schedule.Ladder {
	if len(cfg.File.Ladder) > 0 {
		return cfg.File.Ladder
	}
	return schedule.DefaultLadder()
}
