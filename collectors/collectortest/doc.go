// Package collectortest is the conformance suite that every platform's collector passes, and the tools for testing
// one: a client that asks a handler in this process, a sink for pages, goldens.
//
// A platform's test is a few lines:
//
//	func TestPlatform(t *testing.T) {
//		collectortest.Run(t, collectortest.Case{
//			Platform: plume.Platform, Server: newFake, Handles: []string{"a.example", "b.example"}, …
//		})
//	}
//
// Goldens are folders testdata/<case>/ with request.json, responses/*.json and want.json; the test flag -update
// writes want.json anew, which it refuses to do in CI.
package collectortest
