package rest

import (
	"net/http"

	"jauge.dev/jauge/collectors"
)

// NewClient makes the client that a platform's collector is given.
func NewClient(p collectors.Platform, cfg Config, deps Deps) (*http.Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	_ = p
	return &http.Client{Transport: deps.Base}, nil
}
