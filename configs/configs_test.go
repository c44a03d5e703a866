package configs_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors"
	"jauge.dev/jauge/collectors/schedule"
	"jauge.dev/jauge/configs"
)

var update = flag.Bool("update", false, "write what is generated and the expected files anew")

func platforms() []collectors.Platform {
	check := func(handle string) error {
		if strings.Contains(handle, " ") {
			return fmt.Errorf("handle %q holds a space: write it as acme.example", handle)
		}
		return nil
	}
	return []collectors.Platform{
		{Name: jauge.Bluesky, CheckHandle: check}, {Name: jauge.Mastodon, CheckHandle: check},
	}
}

func noFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

func load(t *testing.T, environ ...string) (*configs.Config, configs.Mistakes) {
	t.Helper()
	return loadFrom(t, configs.Source{Environ: environ, ReadFile: noFile, Platforms: platforms()})
}

func loadFrom(t *testing.T, src configs.Source) (*configs.Config, configs.Mistakes) {
	t.Helper()
	c, err := configs.Load(t.Context(), src)
	var ms configs.Mistakes
	if err != nil && !errors.As(err, &ms) {
		t.Fatalf("Load gave %T, want Mistakes: %v", err, err)
	}
	return c, ms
}

// TestBrokenFiles reads each testdata/<case>/jauge.yaml and compares what is said of it with want.txt.
func TestBrokenFiles(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*/jauge.yaml")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no case found: %v", err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, ms := configs.ReadFile("jauge.yaml", b, platforms(), refuse)
			got := ms.Error() + "\n"
			want := filepath.Join(dir, "want.txt")
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(w), got); diff != "" {
				t.Error("mistakes differ (-want +got):\n" + diff)
			}
		})
	}
}

func refuse(_ configs.File, k configs.KPI) error {
	if k.Formula == "refused" {
		return errors.New(`unknown metric "refused"`)
	}
	return nil
}

func TestExampleRunsAsItIs(t *testing.T) {
	b, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, ms := configs.ReadFile("example.yaml", b, platforms(), nil)
	if len(ms) > 0 {
		t.Fatal(ms)
	}
	if n := len(f.Accounts()); n < 2 {
		t.Errorf("the example lists %d accounts, want some of each platform", n)
	}
	if f.Schedules[jauge.Bluesky] != "@every 15m" {
		t.Errorf("the schedules were read as %v", f.Schedules)
	}
	if diff := cmp.Diff(schedule.DefaultLadder(), f.Ladder); diff != "" {
		t.Error("the example's ladder is not the default one (-want +got):\n" + diff)
	}
	if f.Weights[jauge.Mastodon][jauge.Comments] != 2 || f.Basis[jauge.Bluesky] != jauge.Followers {
		t.Errorf("weights %v and basis %v were read wrong", f.Weights, f.Basis)
	}
}

func TestDefaultsNeedNoEnvironment(t *testing.T) {
	c, ms := load(t)
	if len(ms) > 0 {
		t.Fatal(ms)
	}
	if c.DataDir != "./data" || c.Listen != "127.0.0.1:8080" || c.Store != configs.StoreSQLite || c.HTTP.Attempts != 5 {
		t.Errorf("defaults are %+v", c.Settings)
	}
}

func TestFlagBeatsEnvironment(t *testing.T) {
	c, ms := loadFrom(t, configs.Source{
		Environ: []string{"JAUGE_LISTEN=127.0.0.1:1", "JAUGE_STORE=influx"}, ReadFile: noFile, Platforms: platforms(),
		Flags: map[string]configs.Flag{
			"JAUGE_LISTEN": {Name: "listen", Value: "127.0.0.1:2"},
			"JAUGE_STORE":  {Name: "store", Value: "oracle"},
		},
	})
	if c.Listen != "127.0.0.1:2" {
		t.Errorf("listen is %q, want the flag's", c.Listen)
	}
	want := `--store: is "oracle": choose one of sqlite, influx`
	if ms.Error() != want {
		t.Errorf("mistakes are %q, want %q", ms.Error(), want)
	}
}

func TestEmptyVariableCountsAsNotSet(t *testing.T) {
	c, ms := load(t, "JAUGE_LISTEN=", "JAUGE_HTTP_ATTEMPTS=")
	if len(ms) > 0 || c.Listen != "127.0.0.1:8080" || c.HTTP.Attempts != 5 {
		t.Errorf("empty variables gave %q, %d and %v", c.Listen, c.HTTP.Attempts, ms)
	}
}

func TestAllMistakesOfTheEnvironmentAtOnce(t *testing.T) {
	_, ms := load(t,
		"JAUGE_HTTP_ATTEMPTS=many", "JAUGE_HTTP_MAX_WAIT=soon", "JAUGE_HTTP_MAX_BODY=0", "JAUGE_LOG_LEVEL=loud",
		"JAUGE_LISTEN=nowhere", "JAUGE_JOURNAL_MAX_BYTES=1", "JAUGE_BLUESKY_BASE_URL=bsky.example", "JAUGE_LSITEN=127.0.0.1:1",
		"JAUGE_CONTACT=tab\there", "JAUGE_TEST_ANYTHING=1", "OTHER=1",
	)
	want := []string{
		`JAUGE_BLUESKY_BASE_URL: is no address of a server: write it as https://host or http://host:port/path, without user or query`,
		`JAUGE_CONTACT: holds characters that no header may bear: write a mail or web address`,
		`JAUGE_HTTP_ATTEMPTS: "many" is no whole number`,
		`JAUGE_HTTP_MAX_BODY: is 0: set a number above 0`,
		`JAUGE_HTTP_MAX_WAIT: "soon" is no duration: write it as 30s, 5m or 24h`,
		`JAUGE_JOURNAL_MAX_BYTES: is 1: give at least 4194304`,
		`JAUGE_LISTEN: "nowhere" is no address: write it as 127.0.0.1:8080`,
		`JAUGE_LOG_LEVEL: is "loud": choose one of debug, info, warn, error`,
		`JAUGE_LSITEN: is no variable of jauge: did you mean JAUGE_LISTEN?`,
	}
	if diff := cmp.Diff(want, strings.Split(ms.Error(), "\n")); diff != "" {
		t.Error("mistakes differ (-want +got):\n" + diff)
	}
}

func TestForeignVariableIsAWarning(t *testing.T) {
	c, ms := load(t, "JAUGE_SOMETHING_ELSE_ALTOGETHER=1")
	if len(ms) > 0 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "JAUGE_SOMETHING_ELSE_ALTOGETHER") {
		t.Errorf("got mistakes %v and warnings %v", ms, c.Warnings)
	}
}

func TestMissingFile(t *testing.T) {
	if _, ms := load(t, "JAUGE_CONFIG=other.yaml"); !strings.HasPrefix(ms.Error(), "other.yaml: there is no such file") {
		t.Errorf("a file that was named and is missing gave %v", ms)
	}
	_, ms := loadFrom(t, configs.Source{ReadFile: noFile, Platforms: platforms(), NeedFile: true})
	if !strings.HasPrefix(ms.Error(), "jauge.yaml: there is no such file") {
		t.Errorf("a file that is needed and is missing gave %v", ms)
	}
}

// All accounts may be connected ones.
func TestFileWithoutAccounts(t *testing.T) {
	for _, file := range []string{"brands: []\n", "brands:\n  - name: acme\n    accounts: []\n", "schedules: {bluesky: {refresh: \"@every 1h\"}}\n"} {
		c, ms := loadFrom(t, configs.Source{
			ReadFile: func(string) ([]byte, error) { return []byte(file), nil }, Platforms: platforms(), NeedFile: true,
		})
		if len(ms) > 0 || len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "jauge.yaml lists no account") {
			t.Errorf("%q gave mistakes %v and warnings %q", file, ms, c.Warnings)
		}
	}
}

func TestSecretFromFileIsMasked(t *testing.T) {
	files := map[string]string{"/run/token": "s3cret\n", "/run/empty": "\n"}
	read := func(p string) ([]byte, error) {
		if s, ok := files[p]; ok {
			return []byte(s), nil
		}
		return nil, fs.ErrNotExist
	}
	for _, tt := range []struct {
		name    string
		environ []string
		token   string
		mistake string
	}{
		{"from the variable", []string{"JAUGE_INFLUX_TOKEN=s3cret"}, "s3cret", ""},
		{"from the file, newline cut", []string{"JAUGE_INFLUX_TOKEN_FILE=/run/token"}, "s3cret", ""},
		{"empty variable, file wins", []string{"JAUGE_INFLUX_TOKEN=", "JAUGE_INFLUX_TOKEN_FILE=/run/token"}, "s3cret", ""},
		{
			"both",
			[]string{"JAUGE_INFLUX_TOKEN=s3cret", "JAUGE_INFLUX_TOKEN_FILE=/run/token"},
			"s3cret",
			"JAUGE_INFLUX_TOKEN: is set, and so is JAUGE_INFLUX_TOKEN_FILE: keep one of them",
		},
		{
			"unreadable",
			[]string{"JAUGE_INFLUX_TOKEN_FILE=/run/gone"},
			"",
			"JAUGE_INFLUX_TOKEN_FILE: cannot be read: file does not exist: name a file that this user may read",
		},
		{
			"empty file",
			[]string{"JAUGE_INFLUX_TOKEN_FILE=/run/empty"},
			"",
			"JAUGE_INFLUX_TOKEN_FILE: the file /run/empty is empty: write the secret into it",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, ms := loadFrom(t, configs.Source{Environ: tt.environ, ReadFile: read, Platforms: platforms()})
			if got := c.Influx.Token.Reveal(); got != tt.token {
				t.Errorf("the token is %q, want %q", got, tt.token)
			}
			if ms.Error() != tt.mistake {
				t.Errorf("mistakes are %q, want %q", ms.Error(), tt.mistake)
			}
			shown := fmt.Sprintf("%v %+v %v", c.Summary(), c.Settings, ms)
			if strings.Contains(shown, "s3cret") {
				t.Errorf("the secret shows: %s", shown)
			}
		})
	}
}

func TestMistakesOfTheChosenStoreOnly(t *testing.T) {
	if _, ms := load(t, "JAUGE_INFLUX_URL=nowhere"); len(ms) > 0 {
		t.Errorf("a store that is not used gave %v", ms)
	}
	_, ms := load(t, "JAUGE_STORE=influx", "JAUGE_INFLUX_URL=nowhere", "JAUGE_INFLUX_ORG=acme")
	want := []string{
		"JAUGE_INFLUX_BUCKET: the bucket is not named",
		"JAUGE_INFLUX_TOKEN: no token is given",
		"JAUGE_INFLUX_URL: this is no address of a server: write it as http://host:8086",
	}
	if diff := cmp.Diff(want, strings.Split(ms.Error(), "\n")); diff != "" {
		t.Error("mistakes differ (-want +got):\n" + diff)
	}
}
