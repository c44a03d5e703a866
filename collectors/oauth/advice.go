package oauth

// advice is what an operator should do, by state and, where it matters, by cause.
func advice(s State, c Cause) string {
	switch s {
	case StateOK:
		return ""
	case StateExpiring:
		return "connect it again before it ends: nothing can renew it without you"
	case StateTransient:
		return "nothing yet: it is tried again; look at the platform's status if this lasts"
	case StateWrongObject:
		return "connect with a login that may see this account, or choose what to follow anew"
	case StateScope:
		return "connect again and agree to everything that is asked for"
	case StateNever:
		return "connect it"
	case StateRevoked:
	}
	switch c {
	case CauseLostInRefresh:
		return "connect again: the answer to a renewal was lost, and asking twice would have been taken for theft"
	case CauseAppGone:
		return "check the client id and secret: the provider refuses our client; then connect again"
	case CauseDisconnected:
		return ""
	case CauseNone, CauseInvalidGrant, CauseTokenRefused, CauseExpired, CauseServer, CauseNetwork, CauseRateLimited,
		CauseScope, CauseWrongObject, CauseEndsSoon:
	}
	return "connect again: the provider no longer honours the grant"
}
