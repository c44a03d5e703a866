// Command jauge measures social-media accounts: it reads what platforms say of them, keeps every figure and computes
// KPIs. `jauge --help` says the rest.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
