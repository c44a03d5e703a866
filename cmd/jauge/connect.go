package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/configs"
)

const connectHelp = `Connects an account from the command line: prints the address to open in a browser, takes the answer, and lists what can
be followed. The daemon need not run; beside a running one, the daemon keeps the grant.

The answer reaches this command on a loopback address, so that the browser has to be on this machine (or reach it through
ssh -L). With --paste nothing listens: open the address anywhere, agree, and paste the address that the browser was sent to
at last, even if its page did not load.

The redirect address must be registered with the platform: %s. It is printed
before anything else when it is not the default.`

const connectExample = `  jauge connect mastodon --instance mastodon.example
  jauge connect bluesky --handle acme.example --brand acme
  jauge connect youtube --paste --all
  jauge connect facebook --token-file system-user-token.txt --pick 1020304`

// callbackPath is where browsers come back to, in the daemon and here.
const callbackPath = "/oauth/callback"

// connectFlags are what was asked on the command line.
type connectFlags struct {
	handle, instance, redirect, brand, tokenFile string
	paste, all                                   bool
	pick                                         []string
}

func newConnect(c *cli) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use: "connect PLATFORM", Short: "Connect an account: consent in a browser, no daemon needed",
		Long:    fmt.Sprintf(connectHelp, "JAUGE_PUBLIC_URL + "+callbackPath+", or http://127.0.0.1:8080"+callbackPath),
		Example: connectExample, Args: cobra.ExactArgs(1), ValidArgs: providerNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(providerNames(), args[0]) {
				return usagef("%q cannot be connected: choose one of %s", args[0], strings.Join(providerNames(), ", "))
			}
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil {
				return err
			}
			s := &connecting{c: c, cmd: cmd, cfg: cfg, f: f, provider: args[0], in: bufio.NewReader(cmd.InOrStdin())}
			return s.run()
		},
	}
	cmd.Flags().StringVar(&f.handle, "handle", "", "whose account: tells the server (bluesky)")
	cmd.Flags().StringVar(&f.instance, "instance", "", "which server (mastodon): mastodon.example")
	cmd.Flags().BoolVar(&f.paste, "paste", false, "do not listen: read the address that the browser was sent to from standard input")
	cmd.Flags().StringVar(&f.redirect, "redirect", "", "redirect address to ask for, as registered with the platform")
	cmd.Flags().BoolVar(&f.all, "all", false, "follow everything that the grant opens, without asking")
	cmd.Flags().StringArrayVar(&f.pick, "pick", nil, "follow this id or handle, without asking; may be repeated")
	cmd.Flags().StringVar(&f.brand, "brand", "", "the brand that the accounts belong to (default: the only brand of the file, else the account's name)")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "take a token that never changes from this file instead of asking (system users)")
	return cmd
}

// connecting is one call of jauge connect.
type connecting struct {
	c        *cli
	cmd      *cobra.Command
	cfg      *configs.Config
	f        connectFlags
	provider string
	in       *bufio.Reader
}

func (s *connecting) run() error {
	p := providerNamed(s.provider)
	input := cmp.Or(s.f.handle, s.f.instance)
	switch {
	case s.f.all && len(s.f.pick) > 0:
		return usagef("--all and --pick contradict each other: give one of them")
	case s.f.tokenFile != "" && s.f.paste:
		return usagef("--token-file and --paste contradict each other: give one of them")
	case p.Ask == oauth.AskHandle && s.f.handle == "":
		return usagef("connect %s needs --handle: its account tells the server to ask", s.provider)
	case p.Ask == oauth.AskInstance && s.f.instance == "":
		return usagef("connect %s needs --instance: every instance is a server of its own", s.provider)
	case p.Ask != oauth.AskHandle && s.f.handle != "":
		return usagef("connect %s takes no --handle: who consents is asked in the browser", s.provider)
	case p.Ask != oauth.AskInstance && s.f.instance != "":
		return usagef("connect %s takes no --instance", s.provider)
	}
	var done completed
	var err error
	switch {
	case s.f.tokenFile != "":
		done, err = s.static(input)
	case s.f.paste:
		done, err = s.paste(input)
	default:
		done, err = s.listen(input)
	}
	if err != nil {
		return err
	}
	return s.choose(done)
}

func (s *connecting) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.c.stdout, format+"\n", args...) // a terminal that went away ends the command elsewhere
}

// begin starts the authorization and prints the address on a line of its own.
func (s *connecting) begin(input, redirect, browser string) error {
	started, err := opConnectBegin.perform(s.cmd, s.c, s.cfg, beginRequest{
		Provider: s.provider, Input: input, Redirect: redirect, Browser: browser,
	}, nil)
	if err != nil {
		return err
	}
	if started.Problem != nil {
		return started.Problem
	}
	s.say("Open this address in a browser and agree:\n\n%s\n", started.URL)
	return nil
}

// static stores a token that somebody made elsewhere.
func (s *connecting) static(input string) (completed, error) {
	raw, err := os.ReadFile(s.f.tokenFile)
	if err != nil {
		return completed{}, fmt.Errorf("read the token: %w", err)
	}
	done, err := opConnectStatic.perform(s.cmd, s.c, s.cfg, staticRequest{
		Provider: s.provider, Input: input, Token: strings.TrimSpace(string(raw)),
	}, nil)
	return done.checked(err)
}

// paste reads the redirect address from standard input.
func (s *connecting) paste(input string) (completed, error) {
	redirect := cmp.Or(s.f.redirect, s.registered())
	browser := rand.Text()
	if err := s.begin(input, redirect, browser); err != nil {
		return completed{}, err
	}
	s.say("Then paste the address that the browser was sent to (%s?…):", redirect)
	line, err := s.line()
	if err != nil {
		return completed{}, fmt.Errorf("read the address: %w", err)
	}
	callback, err := callbackOf(line)
	if err != nil {
		return completed{}, err
	}
	return s.complete(callback, browser)
}

// line reads a line that is not empty; it ends when the command is told to.
func (s *connecting) line() (string, error) {
	type read struct {
		text string
		err  error
	}
	lines := make(chan read, 1)
	go func() { // ends with standard input, at the latest with the process
		for {
			text, err := s.in.ReadString('\n')
			if text = strings.TrimSpace(text); text != "" || err != nil {
				lines <- read{text, err}
				return
			}
		}
	}()
	select {
	case r := <-lines:
		if r.text != "" {
			return r.text, nil
		}
		if errors.Is(r.err, io.EOF) {
			return "", errors.New("standard input ended")
		}
		return "", r.err
	case <-s.cmd.Context().Done():
		return "", context.Cause(s.cmd.Context())
	}
}

// callbackOf takes the parameters out of what was pasted: an address, or its query alone.
func callbackOf(pasted string) (url.Values, error) {
	query := pasted
	if u, err := url.Parse(pasted); err == nil && u.Scheme != "" {
		query = u.RawQuery
		if query == "" {
			query = u.Fragment
		}
	}
	q, err := url.ParseQuery(strings.TrimPrefix(query, "?"))
	if err != nil || q.Get("state") == "" {
		return nil, errors.New("what was pasted is no redirect address: it has no state; paste the whole address, from http on")
	}
	return q, nil
}

// registered is the redirect address that an operator is told to register.
func (s *connecting) registered() string { return redirectOf(s.cfg, providerNamed(s.provider)) }

// redirectOf is the redirect address that an operator is told to register.
func redirectOf(cfg *configs.Config, p *oauth.Provider) string {
	path := callbackPath
	if p.Slash {
		path += "/"
	}
	if cfg.PublicURL != "" {
		return strings.TrimSuffix(cfg.PublicURL, "/") + path
	}
	return "http://" + loopback(cfg.Listen) + path
}

func (s *connecting) complete(callback url.Values, browser string) (completed, error) {
	done, err := opConnectComplete.perform(s.cmd, s.c, s.cfg, completeRequest{Callback: callback, Browser: browser}, nil)
	return done.checked(err)
}

// choose lists what can be followed and follows what is chosen.
func (s *connecting) choose(done completed) error {
	s.say("Connected %s as %s.", s.provider, cmp.Or(done.Holder, "an unnamed account"))
	if len(done.Subjects) == 0 {
		return fmt.Errorf("the grant is stored, and opens nothing that could be followed: %s", cmp.Or(done.Advice, "connect with a login that manages an account"))
	}
	s.say("\nWhat can be followed:")
	for i, sub := range done.Subjects {
		s.say("  %d  %s  %s  %s  %s", i+1, sub.Platform, sub.ID, sub.Handle, sub.Name)
	}
	keys, err := s.keys(done.Subjects)
	if err != nil {
		return err
	}
	followed, err := opConnectFollow.perform(s.cmd, s.c, s.cfg, followRequest{
		Grant: done.Grant, Keys: keys, Brand: cmp.Or(s.f.brand, s.brand(done, keys)),
	}, nil)
	if err != nil {
		return err
	}
	for _, a := range followed {
		s.say("following %s %s (%s), brand %s", a.Platform, cmp.Or(a.Handle, a.ID), a.ID, a.Brand)
	}
	if done.Advice != "" {
		s.say("note: the grant is %s: %s", done.State, done.Advice)
	}
	return nil
}

// brand proposes one: the only one of the file, else what the first account is called.
func (s *connecting) brand(done completed, keys []string) string {
	return proposeBrand(&s.cfg.File, done.Subjects, keys)
}

func proposeBrand(file *configs.File, subjects []connectable, keys []string) string {
	var own []string
	for _, b := range file.Brands {
		if !b.Competitor {
			own = append(own, b.Name)
		}
	}
	if len(own) == 1 {
		return own[0]
	}
	for _, sub := range subjects {
		if len(keys) == 0 || slices.Contains(keys, sub.Key) {
			return cmp.Or(sub.Name, sub.Handle, sub.ID)
		}
	}
	return "main"
}

// keys asks, unless it was told.
func (s *connecting) keys(subjects []connectable) ([]string, error) {
	var all []string
	for _, sub := range subjects {
		all = append(all, sub.Key)
	}
	switch {
	case s.f.all || (len(subjects) == 1 && len(s.f.pick) == 0):
		return all, nil
	case len(s.f.pick) > 0:
		return picked(subjects, s.f.pick)
	}
	s.say("\nWhich? Numbers or ids with commas between them, or all:")
	answer, err := s.line()
	if err != nil {
		return nil, fmt.Errorf("the grant is stored, and nothing is followed yet (%w): choose with --all or --pick ID, or on the pages", err)
	}
	if strings.EqualFold(answer, "all") {
		return all, nil
	}
	return picked(subjects, strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' }))
}

// picked finds subjects by number, id, handle or key.
func picked(subjects []connectable, names []string) ([]string, error) {
	var keys []string
	for _, name := range names {
		i := slices.IndexFunc(subjects, func(sub connectable) bool {
			return name == sub.ID || name == sub.Key || bareHandle(name) == bareHandle(sub.Handle)
		})
		if n, err := strconv.Atoi(name); i < 0 && err == nil && n >= 1 && n <= len(subjects) {
			i = n - 1
		}
		if i < 0 {
			return nil, fmt.Errorf("%q is none of what can be followed: the grant is stored, choose again with --pick", name)
		}
		keys = append(keys, subjects[i].Key)
	}
	return keys, nil
}

// connectTimeout bounds how long a command waits for somebody in a browser.
const connectTimeout = 10 * time.Minute
