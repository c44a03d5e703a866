// Package web is what jauge answers over HTTP: health on a port (/metrics, /healthz, /readyz) and commands on a unix
// socket, for the jauge that runs beside the daemon.
//
//	Prometheus, probes ─▶ Health ─▶ registry, one Check for each part of the daemon
//	jauge collect, …   ─▶ Call ──▶ unix socket ─▶ Commands ─▶ what cmd registered
//
// It knows no part of the daemon but as a name and a function, and must never answer with a secret.
package web
