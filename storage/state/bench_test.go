package state_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"jauge.dev/jauge"
	"jauge.dev/jauge/storage/state"
)

const (
	benchAccounts = 10_000
	benchPosts    = 100 // per account
)

// benchFill makes 10,000 accounts with 100 posts each, nine in ten on the ladder.
func benchFill(b *testing.B, db *state.DB) []int64 {
	b.Helper()
	accounts := make([]jauge.Account, benchAccounts)
	for i := range accounts {
		accounts[i] = acct(fmt.Sprintf("a%05d.example", i), "acme")
	}
	if _, err := db.Sync(b.Context(), accounts, epoch); err != nil {
		b.Fatal(err)
	}
	var refs []int64
	for f, err := range db.Roster(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		refs = append(refs, f.Ref)
	}
	page := make([]jauge.KnownPost, benchPosts)
	for i, ref := range refs {
		id := fmt.Sprintf("did:plc:%024d", i)
		if _, err := db.Resolved(b.Context(), ref, id, accounts[i].Handle, epoch); err != nil {
			b.Fatal(err)
		}
		for j := range page {
			page[j] = live(fmt.Sprintf("at://%s/app.bsky.feed.post/3k%011d", id, i*benchPosts+j),
				epoch.Add(-time.Duration(j)*20*time.Hour), epoch)
			if j%10 == 9 {
				page[j].Due = time.Time{}
			}
		}
		advance(b, db, jauge.Advance{Ref: ref, Observed: epoch, Posts: page})
	}
	return refs
}

// BenchmarkMillionPosts fills a memory with 1,000,000 posts and reports what a post costs on disk, what the process
// holds, and what the work of a run costs: pages recorded, due posts asked for.
func BenchmarkMillionPosts(b *testing.B) {
	path := b.TempDir() + "/state.db"
	db := open(b, path)
	began := time.Now()
	refs := benchFill(b, db)
	filled := time.Since(began)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	began = time.Now()
	db = open(b, path)
	opened := time.Since(began)
	n := 0
	for b.Loop() {
		ref := refs[n*7919%len(refs)]
		n++
		posts, err := db.Due(context.Background(), ref, epoch.Add(time.Hour))
		if err != nil || len(posts) != benchPosts*9/10 {
			b.Fatal(len(posts), err)
		}
	}
	runtime.GC()
	b.ReportMetric(float64(info.Size())/benchAccounts/benchPosts, "B/post")
	b.ReportMetric(benchAccounts*benchPosts/filled.Seconds(), "posts/s")
	b.ReportMetric(float64(opened.Milliseconds()), "ms-to-open")
	b.ReportMetric(rssMiB(b), "MiB-RSS")
}

// rssMiB reads the resident size of this process.
func rssMiB(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // no such file on this system: nothing to report
	}
	for line := range strings.Lines(string(raw)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

func BenchmarkSaveSealed(b *testing.B) {
	db := fresh(b)
	value := make([]byte, 4<<10)
	var rev uint64
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if rev, err = db.SaveSealed(b.Context(), "grant/a", value, rev); err != nil {
			b.Fatal(err)
		}
	}
}
