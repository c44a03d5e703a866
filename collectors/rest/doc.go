// Package rest holds the manners of HTTP that every collector keeps to, in one place: what a collector sees is an
// *http.Client and the two calls Get and NextLink.
//
//	Get ─▶ http.Client ─▶ User-Agent ─▶ retries ─▶ budget ─▶ circuit ─▶ one attempt: deadline, bounded body ─▶ guard ─▶ network
//
// The retries stand outside budget and circuit, so that each attempt is paid for and counted as the call that it is.
// The package turns status, body and transport errors into the closed set of reasons of package jauge; nothing else
// does. It knows no platform: a platform's limit and its dialect of rate-limit headers come in its Platform value.
// It must never write a URL's query, a header or a whole body into an error or a log: they may hold secrets.
package rest
