// Package oauthtest holds every provider against one suite: how accounts are connected, renewed and lost. Only tests may
// import it.
//
// A provider's test gives the provider and a Fake, and plugs in by one line:
//
//	func TestX(t *testing.T) { oauthtest.Run(t, provider(t, "x"), fakeX()) }
//
// A Fake is what is particular about the provider's server: its wire formats and its API. The rules that every server
// keeps are the Server's own: exact redirect addresses, codes that serve once and shortly, PKCE, the client's
// authentication, rotation with reuse detection. Where a token endpoint is none of RFC 6749, Routes serves it out of the
// Server's parts:
//
//	func fakePlume() oauthtest.Fake {
//		return oauthtest.Fake{
//			Holder: oauth.Holder{ID: "7"}, Subjects: []oauth.Subject{{Platform: "plume", ID: "7"}},
//			Probe: "https://api.plume.example/v2/me",
//			Routes: func(s *oauthtest.Server, mux *http.ServeMux) {
//				mux.HandleFunc("GET api.plume.example/v2/me", s.Guard("me:read", func(w http.ResponseWriter, _ *http.Request) {
//					fmt.Fprint(w, `{"id":7}`)
//				}))
//			},
//		}
//	}
//
// Everything runs in a bubble of testing/synctest, against handlers in memory: days pass in microseconds, and no case
// opens a socket. A case that a provider's data rules out (no PKCE, nothing to renew) is not run at all.
package oauthtest
