package configs

import (
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/collectors/rest"
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/pipeline"
	"jauge.dev/jauge/pipeline/journal"
	"jauge.dev/jauge/storage/influx"
	"jauge.dev/jauge/storage/sqlite"
	"jauge.dev/jauge/storage/state"
)

// Settings are what the environment says: one field, or one room's Config, for each variable.
type Settings struct {
	// ConfigFile is the YAML file with brands, accounts, KPIs and schedules (flag --config).
	ConfigFile string `env:"CONFIG, default=jauge.yaml"`
	// DataDir is the directory for all that jauge keeps on disk; one process owns it at a time (flag --data-dir).
	DataDir string `env:"DATA_DIR, default=./data"`
	// Listen is the address of the pages, /metrics, /healthz and /readyz (flag --listen). Any other than loopback needs an
	// https JAUGE_PUBLIC_URL, and JAUGE_ADMIN_PASSWORD_HASH or forward auth.
	Listen string `env:"LISTEN, default=127.0.0.1:8080"`
	// OpsListen is an address of its own for /metrics, /healthz and /readyz, without login and without pages:
	// 0.0.0.0:9090. Empty: they are at JAUGE_LISTEN alone.
	OpsListen string `env:"OPS_LISTEN"`
	// PublicURL is the address under which browsers reach the pages, without a path: https://jauge.example. It makes the
	// redirect addresses to register at the platforms. Empty: the loopback address of JAUGE_LISTEN.
	PublicURL string `env:"PUBLIC_URL"`
	// Access says who may enter the pages.
	Access Access `env:", prefix="`
	// Store is where records and KPIs go: sqlite (a file in the data directory) or influx (flag --store).
	Store string `env:"STORE, default=sqlite"`
	// Log is how the log is written.
	Log Log `env:", prefix=LOG_"`
	// Vault keeps the grants of connected accounts.
	Vault oauth.Config `env:", prefix=VAULT_"`
	// BlueskyPLC is the directory that tells the server of a Bluesky account.
	BlueskyPLC string `env:"BLUESKY_PLC_URL, default=https://plc.directory"`
	// HTTP is how the platforms are called.
	HTTP rest.Config `env:", prefix=HTTP_"`
	// Journal keeps what was read until it is in the store.
	Journal journal.Config `env:", prefix=JOURNAL_"`
	// Pipeline turns readings into figures.
	Pipeline pipeline.Config `env:", prefix=PIPELINE_"`
	// Schedule says how accounts are read.
	Schedule schedule.Config `env:", prefix=SCHEDULE_"`
	// SQLite is the default store.
	SQLite sqlite.Config `env:", prefix=SQLITE_"`
	// Influx is the other store.
	Influx influx.Config `env:", prefix=INFLUX_"`
	// State is the scheduler's memory.
	State state.Config `env:", prefix=STATE_"`
}

// Log says how the log is written.
type Log struct {
	// Level is the least level that is written: debug, info, warn or error (flag --log-level).
	Level string `env:"LEVEL, default=info"`
	// Format is json or text; auto is text on a terminal, else json (flag --log-format).
	Format string `env:"FORMAT, default=auto"`
}
