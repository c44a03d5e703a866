package mastodon

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/rest"
)

const hintLogin = "this server shows nothing to readers without a login, and jauge reads public data only: " +
	"take the account out, or ask the server's administrator to allow public reads"

// server is one server under the collector's calls.
type server struct {
	hc   *http.Client
	name string // domain, as in account ids
	root string // scheme and host, without a slash at the end
}

// readAccount asks for the account with a server's own id.
func (s *server) readAccount(ctx context.Context, id string) (account, error) {
	a, err := ask[account](ctx, s, "read account", s.root+"/api/v1/accounts/"+url.PathEscape(id))
	if err == nil && string(a.ID) != id {
		err = malformed("read account", "answer is about another account than the one asked for")
	}
	return a, err
}

// lookup asks for the account of a user of this server.
func (s *server) lookup(ctx context.Context, user string) (account, error) {
	a, err := ask[account](ctx, s, "look up account", s.root+"/api/v1/accounts/lookup?acct="+url.QueryEscape(user))
	if err == nil && a.ID == "" {
		err = malformed("look up account", "answer holds no account")
	}
	return a, err
}

// list asks for a page of an account's posts, newest first, below the cursor if there is one. next is the cursor of
// the following page, empty at the end.
func (s *server) list(ctx context.Context, id, cursor string) (page []status, next string, err error) {
	const op = "list posts"
	q := "?limit=" + strconv.Itoa(pageSize) + "&exclude_reblogs=true"
	if cursor != "" {
		q += "&max_id=" + url.QueryEscape(cursor)
	}
	asked := s.root + "/api/v1/accounts/" + url.PathEscape(id) + "/statuses" + q
	a, h, err := rest.Get[answer[[]status]](ctx, s.hc, op, asked)
	if err != nil {
		return nil, "", hinted(err)
	}
	next, err = s.next(h, asked, a.v)
	return a.v, next, err
}

// next finds the cursor of the following page. Of its address only the cursor is taken: a server behind a gateway
// or a proxy names itself there, perhaps by another scheme, and no call may leave the host that was asked. An
// address on an altogether different host is refused.
func (s *server) next(h http.Header, asked string, page []status) (string, error) {
	if len(h.Values("Link")) == 0 {
		if len(page) >= pageSize { // a proxy took the header off: a full page has another one behind it
			return string(page[len(page)-1].ID), nil
		}
		return "", nil
	}
	u, err := url.Parse(asked)
	if err != nil {
		return "", malformed("list posts", "address is malformed")
	}
	host, other := u.Host, "http"
	if u.Scheme == other {
		other = "https"
	}
	var foreign error
	for _, own := range []url.URL{
		{Scheme: u.Scheme, Host: host}, {Scheme: other, Host: host}, {Scheme: "https", Host: s.name}, {Scheme: "http", Host: s.name},
	} {
		u.Scheme, u.Host = own.Scheme, own.Host
		link, ok, err := rest.NextLink(h, u)
		if err != nil {
			if foreign == nil {
				foreign = err
			}
			continue
		}
		if !ok {
			return "", nil
		}
		if l, err := url.Parse(link); err == nil && l.Query().Get("max_id") != "" {
			return l.Query().Get("max_id"), nil
		}
		return "", malformed("list posts", "next page's address holds no cursor")
	}
	return "", foreign
}

// batch asks for several posts at once; those that the server does not show are left out of the answer.
func (s *server) batch(ctx context.Context, ids []string) ([]status, error) {
	return ask[[]status](ctx, s, "read posts", s.root+"/api/v1/statuses?"+url.Values{"id[]": ids}.Encode())
}

// readStatus asks for one post.
func (s *server) readStatus(ctx context.Context, id string) (status, error) {
	st, err := ask[status](ctx, s, "read post", s.root+"/api/v1/statuses/"+url.PathEscape(id))
	if err == nil && string(st.ID) != id {
		err = malformed("read post", "answer is about another post than the one asked for")
	}
	return st, err
}

func ask[T any](ctx context.Context, s *server, op, address string) (T, error) {
	a, _, err := rest.Get[answer[T]](ctx, s.hc, op, address)
	return a.v, hinted(err)
}

// hinted tells the operator what may be done about a server that wants a login.
func hinted(err error) error {
	e, ok := errors.AsType[*jauge.Error](err)
	if !ok || e.Reason != jauge.ReasonAuth && e.Reason != jauge.ReasonScope {
		return err
	}
	c := *e
	c.Hint = hintLogin
	return &c
}

func malformed(op, what string) error {
	return &jauge.Error{Op: op, Reason: jauge.ReasonDecode, Err: errors.New(what)}
}

// said tells whether a "not found" comes from the API itself, which gives a reason in words, and not from whatever
// else may answer under that host.
func said(err error) bool {
	e, ok := errors.AsType[*jauge.Error](err)
	return ok && e.Reason == jauge.ReasonNotFound && (e.Code != "" || e.Err != nil)
}
