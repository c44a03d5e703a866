package providers_test

import (
	"testing"

	"jauge.dev/jauge/collectors/oauth/oauthtest"
)

func TestFacebook(t *testing.T)         { oauthtest.Run(t, named(t, "facebook"), fakeFacebook()) }
func TestInstagram(t *testing.T)        { oauthtest.Run(t, named(t, "instagram"), fakeInstagram()) }
func TestInstagramWrapped(t *testing.T) { oauthtest.Run(t, named(t, "instagram"), fakeInstagramWrapped()) }
func TestThreads(t *testing.T)          { oauthtest.Run(t, named(t, "threads"), fakeThreads()) }
func TestTikTok(t *testing.T)           { oauthtest.Run(t, named(t, "tiktok"), fakeTikTok()) }
func TestTikTokBusiness(t *testing.T)   { oauthtest.Run(t, named(t, "tiktok-business"), fakeTikTokBusiness()) }
