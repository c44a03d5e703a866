package jauge

import "time"

// Metric is a canonical metric name, as stored.
type Metric string

// The metrics that code speaks of by name; the catalogue holds all.
const (
	Followers      Metric = "followers"
	Following      Metric = "following"
	Posts          Metric = "posts"
	PostsPublished Metric = "posts_published"
	Reach          Metric = "reach"
	Impressions    Metric = "impressions"
	Likes          Metric = "likes"
	Comments       Metric = "comments"
	Shares         Metric = "shares"
	Reposts        Metric = "reposts"
	Quotes         Metric = "quotes"
	Saves          Metric = "saves"
	Clicks         Metric = "clicks"
)

// Kind says what a metric's number is.
type Kind uint8

// The kinds.
const (
	Gauge    Kind = iota + 1 // state at an instant
	Count                    // total over a period
	Lifetime                 // running total since the object was created
)

// Fold says how a metric may be combined over days and accounts.
type Fold uint8

// The folds.
const (
	FoldSum    Fold = iota + 1 // adds up
	FoldLast                   // newest in the window; adds up across accounts
	FoldUnique                 // people, not events: never added over days, save as an estimate
)

// MetricInfo describes a metric.
type MetricInfo struct {
	Name    Metric
	Kind    Kind // as read from a post, a Count metric is a Lifetime one
	Fold    Fold
	Unit    string // "1" for counts, "s" for seconds, "currency" for money
	English string
	French  string
}

var catalogue = []MetricInfo{
	{"followers", Gauge, FoldLast, "1", "Followers", "Abonnés"},
	{"following", Gauge, FoldLast, "1", "Following", "Abonnements"},
	{"follows", Count, FoldSum, "1", "New followers", "Nouveaux abonnés"},
	{"unfollows", Count, FoldSum, "1", "Lost followers", "Abonnés perdus"},
	{"posts", Gauge, FoldLast, "1", "Posts in all", "Publications au total"},
	{"posts_published", Count, FoldSum, "1", "Posts published", "Publications de la période"},
	{"reach", Count, FoldUnique, "1", "Reach", "Portée"},
	{"impressions", Count, FoldSum, "1", "Impressions", "Impressions"},
	{"views", Count, FoldSum, "1", "Views", "Vues"},
	{"profile_views", Count, FoldSum, "1", "Profile views", "Vues du profil"},
	{"video_views", Count, FoldSum, "1", "Video views", "Vues de vidéos"},
	{"watch_time", Count, FoldSum, "s", "Watch time", "Durée de visionnage"},
	{"video_completions", Count, FoldSum, "1", "Videos watched to the end", "Vidéos vues en entier"},
	{"likes", Count, FoldSum, "1", "Likes", "J'aime"},
	{"comments", Count, FoldSum, "1", "Comments", "Commentaires"},
	{"shares", Count, FoldSum, "1", "Shares", "Partages"},
	{"reposts", Count, FoldSum, "1", "Reposts", "Repartages"},
	{"quotes", Count, FoldSum, "1", "Quotes", "Citations"},
	{"saves", Count, FoldSum, "1", "Saves", "Enregistrements"},
	{"clicks", Count, FoldSum, "1", "Link clicks", "Clics sur les liens"},
	{"engagements", Count, FoldSum, "1", "Engagements (platform's own total)", "Engagements (total de la plateforme)"},
	{"mentions", Count, FoldSum, "1", "Mentions", "Mentions"},
	{"messages", Count, FoldSum, "1", "Messages", "Messages"},
	{"spend", Count, FoldSum, "currency", "Spend", "Dépenses"},
	{"conversions", Count, FoldSum, "1", "Conversions", "Conversions"},
	{"conversion_value", Count, FoldSum, "currency", "Conversion value", "Valeur des conversions"},
	{"leads", Count, FoldSum, "1", "Leads", "Prospects"},
}

var metricByName = func() map[Metric]MetricInfo {
	m := make(map[Metric]MetricInfo, len(catalogue))
	for _, i := range catalogue {
		m[i.Name] = i
	}
	return m
}()

// Metrics lists the catalogue in its order; the caller must not change it.
func Metrics() []MetricInfo { return catalogue }

// LookupMetric finds a metric of the catalogue.
func LookupMetric(m Metric) (MetricInfo, bool) {
	i, ok := metricByName[m]
	return i, ok
}

// Field maps one wire name of a platform to the catalogue. Fields are data: a mapping that was wrong is mended here
// and replayed from the journal's archive.
type Field struct {
	Object Object
	Wire   string   // the platform's own name
	Metric Metric   // the metric that this wire name alone bears
	Into   []Metric // sums that it also enters: reposts and quotes enter shares
	Kind   Kind     // what the number is on the wire
	Varies bool     // not every server of the platform offers it (by version or software)
}

// Mapping is all that the pipeline must know of a platform.
type Mapping struct {
	Fields []Field
	Zone   *time.Location // of the platform's reporting day; nil is UTC
	Basis  Metric         // the denominator of weighted_engagement_rate
}
