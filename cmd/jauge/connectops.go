package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

// What crosses the socket.
type (
	beginRequest struct {
		Provider, Input, Redirect, Browser string
	}
	begun struct {
		URL     string
		Problem *flowProblem
	}
	completeRequest struct {
		Callback url.Values
		Browser  string
	}
	staticRequest struct {
		Provider, Input, Token string
	}
	followRequest struct {
		Grant string
		Keys  []string
		Brand string
	}
	// completed is a grant without its tokens.
	completed struct {
		Grant, Holder, State, Advice string
		Subjects                     []connectable
		Problem                      *flowProblem
	}
	connectable struct {
		Key, Platform, ID, Handle, Name, Avatar, Brand string
	}
	// flowProblem is an oauth.FlowError as it crosses the socket.
	flowProblem struct {
		Kind oauth.FlowKind
		Text string
	}
)

// Error says what happened.
func (p *flowProblem) Error() string { return p.Text }

func problemOf(err error) *flowProblem {
	if f, ok := errors.AsType[*oauth.FlowError](err); ok {
		return &flowProblem{f.Kind, flowText(f)}
	}
	return nil
}

// flowTexts say what happened and what to do, for those who read it in a terminal.
var flowTexts = map[oauth.FlowKind]string{
	oauth.FlowUnknownState:  "this answer belongs to no authorization that is under way: it was used before, or begun elsewhere; begin again",
	oauth.FlowExpiredState:  "it took too long: begin again",
	oauth.FlowOtherBrowser:  "it was begun in another place: finish it there, or begin again here",
	oauth.FlowDenied:        "consent was refused: nothing was connected; begin again and agree",
	oauth.FlowBadCode:       "the code is expired or was used before: begin again",
	oauth.FlowBadRedirect:   "the provider does not know our redirect address: register it there, or give the one that is registered by --redirect",
	oauth.FlowWrongIssuer:   "the answer came from another server than the one that was asked: begin again, and tell us if it lasts",
	oauth.FlowWrongAccount:  "another account agreed than the one that was named: log in there with the right one and begin again",
	oauth.FlowScope:         "consent was given to less than is needed: begin again and agree to everything",
	oauth.FlowNotConfigured: "the client of this provider is not set up",
	oauth.FlowBadInput:      "what was given leads to no server",
	oauth.FlowProvider:      "the provider answered with an error",
	oauth.FlowNetwork:       "the provider could not be reached",
}

// flowText is the sentence of a kind, with what lies behind it.
func flowText(f *oauth.FlowError) string {
	text := cmp.Or(flowTexts[f.Kind], string(f.Kind))
	cause := f.Err
	for cause != nil { // an error of a flow within another one says the same again
		inner, ok := errors.AsType[*oauth.FlowError](cause)
		if !ok {
			break
		}
		cause = inner.Err
	}
	if cause != nil {
		text += ": " + cause.Error()
	}
	return text
}

func (d completed) checked(err error) (completed, error) {
	if err == nil && d.Problem != nil {
		err = d.Problem
	}
	return d, err
}

func completedOf(g oauth.Grant, subjects []oauth.Subject) completed {
	d := completed{
		Grant: g.ID, Holder: cmp.Or(g.Holder.Handle, g.Holder.Name, g.Holder.ID), State: string(g.State), Advice: oauth.Advice(g.State, g.Cause),
	}
	for _, s := range subjects {
		d.Subjects = append(d.Subjects, connectable{
			Key: subjectKey(s.Platform, s.ID), Platform: string(s.Platform), ID: s.ID, Handle: s.Handle, Name: s.Name, Avatar: s.Avatar,
		})
	}
	return d
}

func subjectKey(p jauge.Platform, id string) string {
	return jauge.Key{Platform: p, Account: id}.String()
}

var opConnectBegin = operation[beginRequest, struct{}, begun]{
	name: "connect-begin", parts: partVault,
	do: func(ctx context.Context, a *App, q beginRequest, _ func(struct{})) (begun, error) {
		if err := a.needVault(); err != nil {
			return begun{Problem: problemOf(err)}, nil
		}
		address, err := a.vault.Begin(ctx, oauth.BeginRequest{Provider: q.Provider, Input: q.Input, Redirect: q.Redirect, Browser: q.Browser})
		if p := problemOf(err); p != nil {
			return begun{Problem: p}, nil
		}
		return begun{URL: address}, err
	},
}

var opConnectComplete = operation[completeRequest, struct{}, completed]{
	name: "connect-complete", parts: partVault,
	do: func(ctx context.Context, a *App, q completeRequest, _ func(struct{})) (completed, error) {
		g, subjects, err := a.vault.Complete(ctx, q.Callback, q.Browser)
		if p := problemOf(err); p != nil {
			return completed{Problem: p}, nil
		}
		if err != nil {
			return completed{}, err
		}
		return completedOf(g, subjects), a.granted(ctx)
	},
}

var opConnectStatic = operation[staticRequest, struct{}, completed]{
	name: "connect-static", parts: partVault,
	do: func(ctx context.Context, a *App, q staticRequest, _ func(struct{})) (completed, error) {
		if err := a.needVault(); err != nil {
			return completed{Problem: problemOf(err)}, nil
		}
		g, subjects, err := a.vault.Static(ctx, q.Provider, q.Input, jauge.Secret(q.Token))
		if p := problemOf(err); p != nil {
			return completed{Problem: p}, nil
		}
		if err != nil {
			return completed{}, err
		}
		return completedOf(g, subjects), a.granted(ctx)
	},
}

var opConnectFollow = operation[followRequest, struct{}, []connectable]{
	name: "connect-follow", parts: partVault,
	do: func(ctx context.Context, a *App, q followRequest, _ func(struct{})) ([]connectable, error) {
		g, err := a.vault.Follow(ctx, q.Grant, q.Keys, q.Brand)
		if err != nil {
			return nil, err
		}
		var out []connectable
		for _, f := range g.Follows {
			out = append(out, connectable{
				Key: subjectKey(f.Platform, f.ID), Platform: string(f.Platform), ID: f.ID, Handle: f.Handle, Name: f.Name, Brand: f.Brand,
			})
		}
		return out, a.granted(ctx)
	},
}
