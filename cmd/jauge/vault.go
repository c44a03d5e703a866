package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"jauge.dev/jauge"
	"jauge.dev/jauge/collectors/oauth"
	"jauge.dev/jauge/internal/web/pages"
)

const vaultHelp = `The vault keeps the grants of connected accounts, sealed with a key: that of JAUGE_VAULT_KEY[_FILE], else the one in
vault.key in the data directory, which is made at the first start. Whoever has the key and the data directory has the
accounts; whoever loses the key connects every account again.`

const vaultRotateHelp = `Seals everything anew. With the key in the data directory a new key is made, and the old one is dropped once nothing is
sealed by it any more. With JAUGE_VAULT_KEY: put the new key before the old one with a comma between them, start the daemon
with that, run this command, and take the old key away when it says so. What is cut short is taken up by the next call.`

func newVault(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use: "vault", Short: "The key that seals the grants: make one, change it", Long: vaultHelp,
		Example: "  jauge vault key\n  jauge vault rotate",
	}
	cmd.AddCommand(&cobra.Command{
		Use: "key", Short: "Print a new key for JAUGE_VAULT_KEY", Long: "Prints a new random key for JAUGE_VAULT_KEY. It is stored nowhere.",
		Example: "  jauge vault key > vault.key && chmod 600 vault.key", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.stdout, oauth.NewKey())
			return err
		},
	}, &cobra.Command{
		Use: "rotate", Short: "Seal everything with a new key", Long: vaultRotateHelp, Example: "  jauge vault rotate", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd, settingsOnly)
			if err != nil {
				return err
			}
			n, err := opRotate.perform(cmd, c, cfg, struct{}{}, nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "%s sealed by the first key now\n", plural(n, "record"))
			return err
		},
	})
	return cmd
}

var opRotate = operation[struct{}, struct{}, int]{
	name: "vault-rotate", parts: partVault,
	do: func(ctx context.Context, a *App, _ struct{}, _ func(struct{})) (int, error) {
		return a.vault.Rotate(ctx)
	},
}

const hashHelp = `Reads a password and prints what JAUGE_ADMIN_PASSWORD_HASH wants: an argon2id hash in PHC form. On a terminal it asks twice
without showing it; else it reads the first line of standard input.`

// minPassword is the least length of a password that is not remarked upon, in bytes.
const minPassword = 12

func newHashPassword(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "hash-password", Short: "Make the hash of the admin password", Long: hashHelp, Args: cobra.NoArgs,
		Example: "  jauge hash-password > admin.hash\n  JAUGE_ADMIN_PASSWORD_HASH_FILE=admin.hash jauge run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := readPassword(cmd.InOrStdin(), c.stderr)
			if err != nil {
				return err
			}
			if password == "" {
				return usagef("the password is empty")
			}
			if len(password) < minPassword {
				_, _ = fmt.Fprintf(c.stderr, "the password has %d characters: at least %d are advised\n", len(password), minPassword)
			}
			hash, err := pages.HashPassword(jauge.Secret(password))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, hash)
			return err
		},
	}
}

func readPassword(in io.Reader, ask io.Writer) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, 1<<12)).ReadString('\n')
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		_, _ = fmt.Fprint(ask, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(ask)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two differ: begin again")
	}
	return typed[0], nil
}
