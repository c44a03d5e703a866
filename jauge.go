// Package jauge holds the nouns of the business: platforms, accounts, observations, pages, records, metrics and
// KPIs, with the rules that may be told without I/O. It imports the standard library only; every other package is
// an adapter around these nouns.
//
// The way of a number:
//
//	platform API ──▶ Observation (wire names) ──▶ Page (journal message) ──▶ Record (canonical names, one row)
//	                 collectors                   pipeline/journal           pipeline ──▶ storage
package jauge

import "time"

// Platform names a social network or another source, in lower case: "bluesky", "mastodon".
type Platform string

// The platforms whose accounts can be connected; which of them jauge also reads is the list of cmd/jauge.
const (
	Bluesky   Platform = "bluesky"
	Mastodon  Platform = "mastodon"
	Facebook  Platform = "facebook"
	Instagram Platform = "instagram"
	Threads   Platform = "threads"
	LinkedIn  Platform = "linkedin"
	X         Platform = "x"
	TikTok    Platform = "tiktok"
	YouTube   Platform = "youtube"
	Pinterest Platform = "pinterest"
)

// All is the tag value of a roll-up: over the accounts of a platform, or over the platforms of a brand.
const All = "all"

// Account is an account that jauge follows.
type Account struct {
	Platform   Platform
	ID         string // the platform's stable id, unique per platform: a DID on Bluesky, id@instance on Mastodon
	Handle     string // a label that may change, never a key
	Brand      string // from config
	Competitor bool   // the brand is a competitor
}

// Key identifies an account across platforms; handles and brands may change, a key does not.
type Key struct {
	Platform Platform
	Account  string
}

// Key returns the account's key.
func (a Account) Key() Key { return Key{a.Platform, a.ID} }

// String gives "platform/account" for logs and messages.
func (k Key) String() string { return string(k.Platform) + "/" + k.Account }

// AccountState is what a platform says of an account as a whole.
type AccountState string

// The account states.
const (
	AccountLive      AccountState = "live"
	AccountMoved     AccountState = "moved"
	AccountSuspended AccountState = "suspended"
	AccountDeleted   AccountState = "deleted"
	AccountPrivate   AccountState = "private"
)

// PostState is what a platform says of a post.
type PostState string

// The post states.
const (
	PostLive    PostState = "live"
	PostDeleted PostState = "deleted"
	PostHidden  PostState = "hidden"
)

// Format is the form of a post.
type Format string

// The formats.
const (
	FormatText     Format = "text"
	FormatImage    Format = "image"
	FormatCarousel Format = "carousel"
	FormatVideo    Format = "video"
	FormatShort    Format = "short"
	FormatStory    Format = "story"
	FormatLive     Format = "live"
	FormatLink     Format = "link"
	FormatQuote    Format = "quote"
	FormatPoll     Format = "poll"
	FormatReply    Format = "reply"
	FormatArticle  Format = "article"
	FormatOther    Format = "other"
)

// Object is the kind of thing that an observation speaks of; it decides the measurement.
type Object string

// The objects of this release.
const (
	ObjectAccount Object = "account"
	ObjectPost    Object = "post"
)

// Period is the stretch of time that a value covers.
type Period string

// The periods.
const (
	PeriodInstant  Period = "instant"
	PeriodHour     Period = "hour"
	PeriodDay      Period = "day"
	PeriodWeek     Period = "week"
	PeriodDays28   Period = "days_28"
	PeriodMonth    Period = "month"
	PeriodLifetime Period = "lifetime"
)

// Post carries what a platform says of a post beside its counters.
type Post struct {
	PublishedAt time.Time // the publication instant, UTC (DOMAIN: the earlier of createdAt and indexedAt on Bluesky)
	Format      Format
	Language    string // BCP 47, empty where unknown
	Permalink   string // the public address
	Excerpt     string // the beginning of the text, at most ExcerptRunes runes
	Reply       bool   // replies do not count as published posts
}

// ExcerptRunes bounds the excerpt that is kept of a post's text.
const ExcerptRunes = 140

// WireValue is one number under the platform's own field name. A number that the platform did not give has no
// WireValue: absent is not zero.
type WireValue struct {
	Wire  string
	Value float64
}

// Observation is what one platform said about one object, read at one moment.
type Observation struct {
	Object Object
	ID     string      // the platform's id of the object: an at-URI, a status id, the account's id
	Period Period      // instant for gauges, lifetime for post counters, day and longer for period figures
	Start  time.Time   // start of the period in UTC, for day and longer; zero for instant and lifetime
	Values []WireValue // numbers given; nil for a reading of the state alone
	Final  bool        // the platform will not restate it
	Paid   bool        // advertising

	Post      *Post        // posts: texts and form; nil for a reading of the state alone
	PostState PostState    // posts
	State     AccountState // accounts
	MovedTo   string       // accounts that moved: the new handle, as the platform spells it
}

// Page is what one API answer held about one account: one journal message. The collector fills the upper part, the
// scheduler stamps the lower one.
type Page struct {
	Platform     Platform
	Account      string // the account's stable id
	Handle       string // as the platform spells it at this reading
	API          string // API version, as far as the platform tells
	Observations []Observation

	Run        string    // run id, unique
	RunStart   time.Time // when the account's run began, UTC; an instant row is timed by it
	Seq        int       // number of the page within the account's run, from 0
	Part       int       // number of the part where a page was split to fit a journal message, from 0
	ObservedAt time.Time // when it was read, UTC, strictly increasing per account: the version of its rows
	Complete   bool      // this page ends a complete reading (DOMAIN rule 4)
}

// Key returns the key of the account that the page speaks of.
func (p *Page) Key() Key { return Key{p.Platform, p.Account} }
