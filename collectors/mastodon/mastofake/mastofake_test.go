package mastofake_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"jauge.dev/jauge/collectors/mastodon/mastofake"
)

var newest = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func get(t *testing.T, s *mastofake.Server, path string) (status int, header map[string][]string, body []byte) {
	t.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest("GET", "https://mastodon.example"+path, nil))
	if !json.Valid(rec.Body.Bytes()) {
		t.Fatalf("%s: no JSON: %s", path, rec.Body)
	}
	return rec.Code, rec.Header(), rec.Body.Bytes()
}

func TestEverythingIsJSON(t *testing.T) {
	for _, cfg := range []mastofake.Config{{}, {StringCounts: true, Minor: 2}, {HideFollowers: true, NullQuotes: true}} {
		s := mastofake.New(cfg)
		account := s.AddAccount("brand", 5, 6)
		s.AddAccount("old", 5, 6)
		s.Move("old", "brand")
		id := s.Publish("brand", mastofake.Post{
			At: newest, Text: "<p>\"quoted\" \\ \n é</p>", Language: "fr", ReplyTo: "1", Media: []string{"image", "gifv"},
			Poll: true, Card: true, Quote: true, Reblog: true, Visibility: "unlisted",
		})
		for _, path := range []string{
			"/api/v1/accounts/" + account, "/api/v1/accounts/lookup?acct=old", "/api/v1/accounts/" + account + "/statuses",
			"/api/v1/statuses/" + id, "/api/v2/instance", "/.well-known/webfinger?resource=acct:brand@mastodon.example",
		} {
			if code, _, body := get(t, s, path); code != 200 {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
	}
}

func TestFilledServer(t *testing.T) {
	s := mastofake.New(mastofake.Config{})
	s.AddAccount("first", 1, 1)
	if err := s.Fill(300, 50, newest, time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.Fill(1, 1, newest, time.Hour) == nil {
		t.Error("a second Fill is no error")
	}
	own := s.Publish("first", mastofake.Post{At: newest, Counts: mastofake.Counts{Favourites: 9}})
	var list []struct {
		ID    string `json:"id"`
		Likes int    `json:"favourites_count"`
	}
	var who struct {
		ID string `json:"id"`
	}
	_, _, body := get(t, s, "/api/v1/accounts/lookup?acct=user299")
	if err := json.Unmarshal(body, &who); err != nil {
		t.Fatal(err)
	}
	_, header, body := get(t, s, "/api/v1/accounts/"+who.ID+"/statuses?limit=40")
	if err := json.Unmarshal(body, &list); err != nil || len(list) != 40 || len(header["Link"]) != 1 {
		t.Fatalf("%d posts, link %v, %v", len(list), header["Link"], err)
	}
	s.Count(list[3].ID, mastofake.Counts{Favourites: 2})
	s.Delete(list[4].ID)
	_, _, body = get(t, s, "/api/v1/statuses?"+url.Values{"id[]": {list[3].ID, list[4].ID, own}}.Encode())
	before := list[3].Likes
	list = nil
	if err := json.Unmarshal(body, &list); err != nil || len(list) != 2 {
		t.Fatalf("batch %s, %v", body, err)
	}
	if list[0].ID != own || list[0].Likes != 9 || list[1].Likes != before+2 {
		t.Errorf("batch %+v", list)
	}
	if c := s.Calls(); c["batch"] != 1 || c["list"] != 1 || c["lookup"] != 1 {
		t.Errorf("calls %v", c)
	}
}
