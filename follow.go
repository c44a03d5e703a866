package jauge

import "time"

// Followed is an account of the configuration as the scheduler remembers it. Instants are UTC; a zero one means never.
type Followed struct {
	Ref        int64   // the memory's own small key; it stays as long as the account is known
	Account    Account // ID is empty until the handle was resolved; Handle is as the platform spelled it last
	Configured string  // the handle as config spells it
	ByID       bool    // listed by its id: Configured is a label then, and is never resolved
	Since      time.Time
	Removed    time.Time // when config stopped to list it; zero while it does

	LastRun      time.Time // when the last run began, whatever came of it
	Unfinished   bool      // the last run began and its end was never recorded: the process died in between
	LastSuccess  time.Time // when the last run without an error ended
	LastComplete time.Time // when the last complete reading began (DOMAIN rule 4)
	Newest       time.Time // publication of the newest post known at the last complete reading
	Observed     time.Time // the last page's ObservedAt
	State        AccountState

	Resolved  time.Time // when the handle was resolved last
	Elsewhere string    // another id to which the configured handle leads now; ID stays what it was
	Attempts  int       // failed tries to resolve the handle, in a row
	NextTry   time.Time // no earlier try to resolve it
	Failure   Failure   // the last run's failure; its Reason is empty where it ended well
}

// Failure is why something failed, when last, and how often in a row.
type Failure struct {
	Reason Reason
	Text   string
	At     time.Time
	Count  int
}

// KnownPost is what the scheduler remembers of a post.
type KnownPost struct {
	ID          string
	PublishedAt time.Time // kept to the millisecond; zero where a reading of the state alone does not tell it
	Read        time.Time // kept to the second
	Due         time.Time // kept to the second; zero: off the re-read ladder
	State       PostState
	Rank        int // position among the account's posts on the ladder, newest first, from 0; in answers only
}

// Advance is what an acknowledged page changes in the scheduler's memory of an account.
type Advance struct {
	Ref      int64
	Observed time.Time    // the page's stamp
	Handle   string       // empty: as before
	State    AccountState // empty: as before
	Posts    []KnownPost
	// Complete says that the page ends a complete reading, which began at Began and knew posts up to Newest.
	Complete bool
	Began    time.Time
	Newest   time.Time
}

// Outcome ends an account's run in the scheduler's memory.
type Outcome struct {
	Ref     int64
	At      time.Time // when it ended; zero with no Failure: it ended, and says nothing of the schedule
	Failure Failure   // without a Reason: it ended well. Count is kept by the memory
}
