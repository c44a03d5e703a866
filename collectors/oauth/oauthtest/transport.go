package oauthtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"time"
)

// Fault is what befalls the next request that renews a token.
type Fault string

// The faults.
const (
	NotSent     Fault = "not_sent"     // no connection: the server saw nothing
	LostRequest Fault = "lost_request" // the connection broke, and the server did nothing
	LostAnswer  Fault = "lost_answer"  // the server did it, and the answer never came
	CutAnswer   Fault = "cut_answer"   // the server did it, and half of the answer came
	Silence     Fault = "silence"      // the server did it, and says nothing until the deadline
	Answer500   Fault = "500"          // the server says so and did nothing
	Answer503   Fault = "503"          // the same
	Answer502   Fault = "502"          // a gateway says so, and the server did it
	Answer504   Fault = "504"          // the same
	Answer429   Fault = "429"          // too many requests: come back in RetryAfter
)

// RetryAfter is what the answer of Answer429 asks for.
const RetryAfter = 7 * time.Minute

// Shape is how the next answers to renewals look.
type Shape string

// The shapes.
const (
	Usual       Shape = ""
	OmitRefresh Shape = "no refresh token" // and the old one stays good
	AbsurdLife  Shape = "absurd expiry"    // 31 years
	FloatLife   Shape = "float expiry"
	TextLife    Shape = "text expiry"
	NoLife      Shape = "no expiry"
)

// Fail queues faults for the requests that renew, one each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Shape sets how answers to renewals look from now on.
func (s *Server) Shape(v Shape) { s.mu.Lock(); defer s.mu.Unlock(); s.shape = v }

// shaped applies the shape; the lifetimes that the server keeps to stay as they were.
func (s *Server) shaped(i Issued) Issued {
	life, _ := i.ExpiresIn.(int64)
	switch s.shape {
	case OmitRefresh:
		i.Refresh, i.RefreshIn = "", 0
	case AbsurdLife:
		i.ExpiresIn = int64(31 * 365 * 24 * 3600)
	case FloatLife:
		i.ExpiresIn = float64(life) + 0.5
	case TextLife:
		i.ExpiresIn = fmt.Sprint(life)
	case NoLife:
		i.ExpiresIn = nil
	case Usual:
	}
	return i
}

// HTTP is a client that reaches the server and nothing else.
func (s *Server) HTTP() *http.Client { return &http.Client{Transport: roundTrip(s.roundTrip)} }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (s *Server) roundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		body = b
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	trace := httptrace.ContextClientTrace(r.Context())
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(r.URL.Host)
	}
	fault := s.take(r, string(body))
	if fault == NotSent {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	if trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	serve := func() *http.Response {
		in := r.Clone(context.WithoutCancel(r.Context()))
		in.Body, in.RequestURI, in.Host = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI(), r.URL.Host
		rec := httptest.NewRecorder()
		s.mux.ServeHTTP(rec, in)
		resp := rec.Result()
		resp.Request = r
		return resp
	}
	return s.befall(r, fault, serve)
}

// take finds the fault of a request, and counts it where it renews.
func (s *Server) take(r *http.Request, form string) Fault {
	if !s.Fake.Renews(r, form) {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f Fault
	if len(s.faults) > 0 {
		f, s.faults = s.faults[0], s.faults[1:]
	}
	if f != NotSent {
		s.counts.Renewals++
	}
	return f
}

func (s *Server) befall(r *http.Request, fault Fault, serve func() *http.Response) (*http.Response, error) {
	switch fault {
	case LostRequest:
		return nil, io.ErrUnexpectedEOF
	case LostAnswer:
		serve()
		return nil, io.ErrUnexpectedEOF
	case CutAnswer:
		resp := serve()
		whole, _ := io.ReadAll(resp.Body) // a recorder's body cannot fail
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), cut{}))
		return resp, nil
	case Silence:
		serve()
		<-r.Context().Done()
		return nil, r.Context().Err()
	case Answer502, Answer504:
		serve()
		return page(r, map[Fault]int{Answer502: http.StatusBadGateway, Answer504: http.StatusGatewayTimeout}[fault]), nil
	case Answer500, Answer503, Answer429:
		rec := httptest.NewRecorder()
		if fault == Answer429 {
			rec.Header().Set("Retry-After", fmt.Sprint(int(RetryAfter.Seconds())))
		}
		s.Fake.Refuse(rec, map[Fault]Refusal{Answer500: Broken, Answer503: Down, Answer429: Slow}[fault])
		resp := rec.Result()
		resp.Request = r
		return resp, nil
	}
	return serve(), nil
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// page is what a gateway answers: no JSON.
func page(r *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader("<html><title>gateway</title></html>")),
	}
}
