package jauge

import "slices"

// Measurement names a kind of row: a table in SQLite, a measurement in InfluxDB.
type Measurement string

// The measurements of this release.
const (
	SocialAccount        Measurement = "social_account"
	SocialAccountHistory Measurement = "social_account_history"
	SocialPost           Measurement = "social_post"
	SocialPostHistory    Measurement = "social_post_history"
	SocialPostDaily      Measurement = "social_post_daily"
	SocialKPI            Measurement = "social_kpi"
	Restatement          Measurement = "restatement"
)

// SchemaVersion is the version of the stored shape; stores keep it from the first release on.
const SchemaVersion = 1

// ColumnType is the type of a field in the stores.
type ColumnType uint8

// The column types.
const (
	Float   ColumnType = iota + 1 // REAL; InfluxDB float. Every metric is one
	Instant                       // Unix nanoseconds in UTC: INTEGER; InfluxDB integer
	Integer                       // INTEGER; InfluxDB integer
	Text                          // TEXT; InfluxDB string
	Flag                          // INTEGER 0 or 1; InfluxDB boolean
)

// Column is a field of a measurement.
type Column struct {
	Name string
	Type ColumnType
}

// Schema is the shape of a measurement: its tags in order and its fields in order. A row's key is its tags and time.
type Schema struct {
	Measurement Measurement
	Tags        []string
	Columns     []Column
	History     bool // kept for the history's retention, in InfluxDB in a bucket of its own
}

// Column returns the position of a field, or -1.
func (s *Schema) Column(name string) int {
	return slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == name })
}

// Tag returns the position of a tag, or -1.
func (s *Schema) Tag(name string) int { return slices.Index(s.Tags, name) }

func floats(names ...Metric) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		out[i] = Column{string(n), Float}
	}
	return out
}

// postMetrics are the counters that a post can bear; accountMetrics those of an account in a period.
var (
	postMetrics = []Metric{
		"likes", "comments", "shares", "reposts", "quotes", "saves", "clicks", "engagements", "reach", "impressions",
		"views", "video_views", "watch_time", "video_completions",
	}
	accountMetrics = append([]Metric{
		"followers", "following", "follows", "unfollows", "posts", "posts_published", "profile_views", "mentions",
		"messages", "spend", "conversions", "conversion_value", "leads",
	}, postMetrics...)
)

var schemas = []*Schema{
	{
		Measurement: SocialAccount,
		Tags:        []string{"brand", "platform", "account", "period", "paid"},
		Columns: append([]Column{
			{"day", Text}, {"final", Flag}, {"handle", Text}, {"account_state", Text}, {"moved_to", Text},
			{"competitor", Flag}, {"complete_reading", Flag}, {"observed_at", Instant},
		}, floats(accountMetrics...)...),
	},
	{
		Measurement: SocialAccountHistory,
		Tags:        []string{"brand", "platform", "account", "period", "paid"},
		Columns:     append([]Column{{"day", Text}}, floats(accountMetrics...)...),
		History:     true,
	},
	{
		Measurement: SocialPost,
		Tags:        []string{"brand", "platform", "account", "format"},
		Columns: append([]Column{
			{"post_id", Text}, {"permalink", Text}, {"excerpt", Text}, {"language", Text}, {"published_at", Instant},
			{"observed_at", Instant}, {"state", Text}, {"final", Flag}, {"carry", Text},
		}, floats(postMetrics...)...),
	},
	{
		Measurement: SocialPostHistory,
		Tags:        []string{"brand", "platform", "account"},
		Columns:     append([]Column{{"post_id", Text}, {"state", Text}}, floats(postMetrics...)...),
		History:     true,
	},
	{
		Measurement: SocialPostDaily,
		Tags:        []string{"brand", "platform", "account", "format"},
		Columns: append([]Column{{"day", Text}, {"final", Flag}, {"estimated", Flag}, {"posts_published", Float}},
			floats(postMetrics...)...),
	},
	{
		Measurement: SocialKPI,
		Tags:        []string{"brand", "platform", "account", "kpi", "window"},
		Columns: []Column{
			{"day", Text}, {"value", Float}, {"numerator", Float}, {"denominator", Float}, {"basis", Text},
			{"estimated", Flag}, {"complete", Flag}, {"version", Text},
		},
	},
	{
		Measurement: Restatement,
		Tags:        []string{"brand", "platform", "account", "metric"},
		Columns: []Column{
			{"object", Text}, {"day", Text}, {"old", Float}, {"new", Float}, {"age_days", Float},
		},
	},
}

var schemaByName = func() map[Measurement]*Schema {
	m := make(map[Measurement]*Schema, len(schemas))
	for _, s := range schemas {
		m[s.Measurement] = s
	}
	return m
}()

// Schemas lists the shapes of all measurements; the caller must not change them.
func Schemas() []*Schema { return schemas }

// SchemaOf returns the shape of a measurement, nil where there is none.
func SchemaOf(m Measurement) *Schema { return schemaByName[m] }
