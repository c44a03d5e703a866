package pipeline

import (
	"slices"

	"jauge.dev/jauge"
)

// The positions of fields in their measurements, looked up once.
var (
	accountSchema        = jauge.SchemaOf(jauge.SocialAccount)
	accountHistorySchema = jauge.SchemaOf(jauge.SocialAccountHistory)
	postSchema           = jauge.SchemaOf(jauge.SocialPost)
	postHistorySchema    = jauge.SchemaOf(jauge.SocialPostHistory)
	dailySchema          = jauge.SchemaOf(jauge.SocialPostDaily)
	kpiSchema            = jauge.SchemaOf(jauge.SocialKPI)
	restatementSchema    = jauge.SchemaOf(jauge.Restatement)

	postCol = struct{ id, permalink, excerpt, language, published, observed, state, final, carry int }{
		postSchema.Column("post_id"), postSchema.Column("permalink"), postSchema.Column("excerpt"),
		postSchema.Column("language"), postSchema.Column("published_at"), postSchema.Column("observed_at"),
		postSchema.Column("state"), postSchema.Column("final"), postSchema.Column("carry"),
	}
	postHistoryCol = struct{ id, state int }{
		postHistorySchema.Column("post_id"), postHistorySchema.Column("state"),
	}
	dailyCol = struct{ day, final, estimated, published int }{
		dailySchema.Column("day"), dailySchema.Column("final"), dailySchema.Column("estimated"),
		dailySchema.Column("posts_published"),
	}
	accountCol = struct{ day, final, handle, state, movedTo, competitor, complete, observed int }{
		accountSchema.Column("day"), accountSchema.Column("final"), accountSchema.Column("handle"),
		accountSchema.Column("account_state"), accountSchema.Column("moved_to"), accountSchema.Column("competitor"),
		accountSchema.Column("complete_reading"), accountSchema.Column("observed_at"),
	}
	kpiCol = struct{ day, value, numerator, denominator, basis, estimated, complete, version int }{
		kpiSchema.Column("day"), kpiSchema.Column("value"), kpiSchema.Column("numerator"),
		kpiSchema.Column("denominator"), kpiSchema.Column("basis"), kpiSchema.Column("estimated"),
		kpiSchema.Column("complete"), kpiSchema.Column("version"),
	}
	restatementCol = struct{ object, day, old, new, age int }{
		restatementSchema.Column("object"), restatementSchema.Column("day"), restatementSchema.Column("old"),
		restatementSchema.Column("new"), restatementSchema.Column("age_days"),
	}
	accountHistoryDay = accountHistorySchema.Column("day")
)

// metricColumns lists the positions of a measurement's Float fields by metric name.
func metricColumns(s *jauge.Schema) map[jauge.Metric]int {
	m := make(map[jauge.Metric]int)
	for i, c := range s.Columns {
		if c.Type == jauge.Float {
			m[jauge.Metric(c.Name)] = i
		}
	}
	return m
}

// sorted puts fields in the order of their columns.
func sorted(vs []jauge.Value) []jauge.Value {
	slices.SortFunc(vs, func(a, b jauge.Value) int { return a.Col - b.Col })
	return vs
}
