// Package state is what the scheduler must remember, in one SQLite file (state.db) of the data directory, whichever
// store holds the figures: followed accounts, known posts and when each is due, under which brands an account's rows
// stand, how far a backfill came. It works while the store is down.
//
// It follows the journal: the scheduler writes here only what the journal has acknowledged, so a crash between the two
// costs a second reading of a page and nothing else. Its loss costs little too: Rebuild reads it back from
// social_account and social_post. A file that is damaged is put aside under another name, never deleted.
//
// Its sealed records (connected accounts) are another matter, since nothing could give them back: a save of one is on the
// disk when it returns, and they are taken over from a file that is put aside as far as they can be read.
//
// Nothing is kept in memory for a post; a post costs about 90 bytes on disk while it is on the re-read ladder, about
// 50 when it has left it. The package knows no platform and judges nothing: what is due, and when, is the caller's.
package state
