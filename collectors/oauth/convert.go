package oauth

import (
	"maps"
	"slices"
	"strings"
	"time"

	"jauge.dev/jauge"
)

// Key names the account: platform/id.
func (s *Subject) Key() string { return followKey(s.Platform, s.ID) }

func followKey(p jauge.Platform, id string) string { return string(p) + "/" + id }

func (s *subjectRecord) key() string { return followKey(s.Platform, s.ID) }

// token makes what dialects work with.
func (t *tokenRecord) token() *Token {
	return &Token{
		Access: jauge.Secret(t.Access), Refresh: jauge.Secret(t.Refresh), Type: t.Type, Issued: t.Issued,
		Expiry: t.Expiry, RefreshExpiry: t.RefreshExpiry, Scopes: slices.Clone(t.Scopes), Subject: t.Subject,
		Extra: maps.Clone(t.Extra),
	}
}

func tokenOf(t *Token) tokenRecord {
	return tokenRecord{
		Access: t.Access.Reveal(), Refresh: t.Refresh.Reveal(), Type: t.Type, Issued: t.Issued.UTC(),
		Expiry: utc(t.Expiry), RefreshExpiry: utc(t.RefreshExpiry), Scopes: slices.Clone(t.Scopes), Subject: t.Subject,
		Extra: maps.Clone(t.Extra),
	}
}

// utc keeps the zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func (s *serverRecord) server() *Server {
	return &Server{
		Issuer: s.Issuer, Resource: s.Resource, Endpoints: s.Endpoints, PAR: s.PAR, ClientID: s.ClientID,
		ClientSecret: jauge.Secret(s.ClientSecret), Key: slices.Clone(s.Key), Nonces: maps.Clone(s.Nonces),
	}
}

func serverOf(s *Server) serverRecord {
	return serverRecord{
		Issuer: s.Issuer, Resource: s.Resource, Endpoints: s.Endpoints, PAR: s.PAR, ClientID: s.ClientID,
		ClientSecret: s.ClientSecret.Reveal(), Key: slices.Clone(s.Key), Nonces: maps.Clone(s.Nonces),
	}
}

func (s *subjectRecord) subject() Subject {
	return Subject{
		Platform: s.Platform, ID: s.ID, Handle: s.Handle, Name: s.Name, Avatar: s.Avatar, Token: jauge.Secret(s.Token),
	}
}

func subjectsOf(list []Subject) []subjectRecord {
	out := make([]subjectRecord, 0, len(list))
	for i := range list {
		s := &list[i]
		out = append(out, subjectRecord{
			Platform: s.Platform, ID: s.ID, Handle: s.Handle, Name: s.Name, Avatar: s.Avatar, Token: s.Token.Reveal(),
		})
	}
	return out
}

// subjects are the listed subjects as others may see them: without tokens.
func (r *record) subjects() []Subject {
	out := make([]Subject, 0, len(r.Subjects))
	for i := range r.Subjects {
		s := r.Subjects[i].subject()
		s.Token = ""
		out = append(out, s)
	}
	return out
}

// follow is what others may see of an account that is followed.
func (f *followRecord) follow() Follow {
	return Follow{
		Platform: f.Platform, ID: f.ID, Handle: f.Handle, Name: f.Name, Avatar: f.Avatar, Brand: f.Brand,
		Paused: f.Paused, Added: f.Added, State: f.State, Cause: f.Cause,
	}
}

// grant is what others may see of a record.
func (r *record) grant(p *Provider) Grant {
	g := Grant{
		ID: r.ID, Provider: r.Provider, Holder: r.Holder, Issuer: r.Server.Issuer, Scopes: slices.Clone(r.Scopes),
		State: r.State, Cause: r.Cause, Since: r.Since, ExpiresAt: r.ends(p), Renewed: r.Token.Issued,
		Connected: r.Connected, Chosen: r.Chosen, Follows: make([]Follow, 0, len(r.Follows)),
	}
	for i := range r.Follows {
		g.Follows = append(g.Follows, r.Follows[i].follow())
	}
	return g
}

// handleKey makes a handle comparable.
func handleKey(p jauge.Platform, handle string) string {
	return followKey(p, strings.ToLower(strings.TrimPrefix(strings.TrimSpace(handle), "@")))
}
