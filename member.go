package jauge

// Member is an account as a member of its brand: what config says of it now, or said last.
type Member struct {
	Account Account
	Gone    bool // taken out of config: it is read no more, and its history stays
	Removed Day  // if Gone, the date in UTC from which on it leaves roll-ups
}
