// Package storagetest holds what every store must do, as a suite that each of them runs (Run), and an in-memory
// store with the same meaning (Mem) for tests of the packages that write to stores. Only test files may import it.
//
// Mem is also the suite's own check: a suite that the simplest possible store does not pass asks for something that
// the contract does not say.
package storagetest
