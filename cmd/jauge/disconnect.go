package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
)

const disconnectHelp = `Stops to follow a connected account, and forgets its grant when it was the last account of it; the grant is then revoked at the
provider, where the provider offers that. What was collected stays. ACCOUNT is a handle, an id, platform/id, or a grant's
id, which ends the grant with all its accounts.

An account that the file lists stays in the file: it is read without a grant where the platform allows that.`

// disconnected is what became of a grant.
type disconnected struct {
	Account  string // as it was found
	Provider string
	Grant    string
	Ended    bool // the grant is gone
	Revoked  bool // and the provider was told
	Left     int  // accounts that the grant still opens
}

var opDisconnect = operation[string, struct{}, disconnected]{
	name: "disconnect", parts: partVault,
	do: func(ctx context.Context, a *App, name string, _ func(struct{})) (disconnected, error) {
		d, err := a.disconnect(ctx, name)
		if err != nil {
			return d, err
		}
		return d, a.granted(ctx)
	},
}

// disconnect finds an account or a grant by name and ends it.
func (a *App) disconnect(ctx context.Context, name string) (disconnected, error) {
	grants, err := a.grants(ctx)
	if err != nil {
		return disconnected{}, err
	}
	for _, g := range grants {
		if g.ID == name {
			revoked, err := a.vault.Disconnect(ctx, g.ID)
			return disconnected{Account: name, Provider: g.Provider, Grant: g.ID, Ended: true, Revoked: revoked}, err
		}
	}
	found, f, err := findFollow(grants, name)
	if err != nil {
		return disconnected{}, err
	}
	return a.unfollow(ctx, found, f)
}

// unfollow takes an account out of a grant, and ends the grant with its last one.
func (a *App) unfollow(ctx context.Context, g *oauth.Grant, f *oauth.Follow) (disconnected, error) {
	d := disconnected{Account: subjectKey(f.Platform, f.ID), Provider: g.Provider, Grant: g.ID, Left: len(g.Follows) - 1}
	if d.Left > 0 {
		return d, a.vault.Unfollow(ctx, f.Platform, f.ID)
	}
	var err error
	d.Ended = true
	d.Revoked, err = a.vault.Disconnect(ctx, g.ID)
	return d, err
}

// findFollow finds a connected account by handle, id or platform/id.
func findFollow(grants []oauth.Grant, name string) (*oauth.Grant, *oauth.Follow, error) {
	var grant *oauth.Grant
	var follow *oauth.Follow
	for i := range grants {
		for k := range grants[i].Follows {
			f := &grants[i].Follows[k]
			if name != f.ID && name != subjectKey(f.Platform, f.ID) && bareHandle(name) != bareHandle(f.Handle) {
				continue
			}
			if follow != nil && (follow.Platform != f.Platform || follow.ID != f.ID) {
				return nil, nil, fmt.Errorf("%q is the name of several accounts: write %s or %s", name,
					subjectKey(follow.Platform, follow.ID), subjectKey(f.Platform, f.ID))
			}
			grant, follow = &grants[i], f
		}
	}
	if follow == nil {
		return nil, nil, &jauge.Error{
			Op: "find account " + name, Reason: jauge.ReasonNotFound, Err: errors.New("no account of this name is connected"),
			Hint: "jauge accounts lists them",
		}
	}
	return grant, follow, nil
}

func newDisconnect(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "disconnect ACCOUNT", Short: "Stop to follow a connected account and give its grant back", Long: disconnectHelp,
		Example: "  jauge disconnect acme.example\n  jauge disconnect x/2244994945", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil {
				return err
			}
			d, err := opDisconnect.perform(cmd, c, cfg, args[0], nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, d.sentence())
			return err
		},
	}
}

func (d disconnected) sentence() string {
	switch {
	case !d.Ended:
		return fmt.Sprintf("%s is no longer followed; its grant (%s %s) stays, it opens %s more", d.Account, d.Provider, d.Grant, plural(d.Left, "account"))
	case d.Revoked:
		return fmt.Sprintf("%s is disconnected, and the grant revoked at %s", d.Account, d.Provider)
	}
	return fmt.Sprintf("%s is disconnected; %s did not confirm that the grant is revoked: take jauge off the list of apps there to be sure", d.Account, d.Provider)
}
