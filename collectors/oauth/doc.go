// Package oauth keeps the grants by which jauge reads accounts: how they are obtained, kept, renewed and lost.
//
//	browser or terminal ──▶ Begin ──▶ provider ──▶ Complete ──▶ Grant (sealed, in the Store) ──▶ Client ──▶ collectors
//	                                                              ▲      │
//	                                                              └ renew ┘ one at a time, over goroutines and replicas
//
// A provider is data (Provider) plus a Dialect for what is truly different; package providers below holds them all. The
// Vault is the only one that sees a token: everybody else is given an *http.Client that puts it on requests.
//
// It must never hand out a token that is not durable, send a spent refresh token twice, replace a refresh token by
// nothing, or let a token reach a log, an error, a metric or a page.
package oauth
