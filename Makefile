# Every target with a "##" is listed by "make help".
GO ?= go
# Tools of the house, pinned; they live in bin/, outside of the module's own dependencies.
GOLANGCI_LINT_VERSION = v2.15.0
TESTBED ?= .testbed
FUZZTIME ?= 30s
BENCH ?= .
# How long the benchmarks of one package may take together: reading 10,000 accounts takes most of it.
BENCH_TIMEOUT ?= 90m
# How long all integration tests of one package may take together.
INTEGRATION_TIMEOUT ?= 40m

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build run test race integration bench lint fmt fuzz golden docs testbed testbed-down clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the program, static, into bin/jauge
	$(GO) build -o bin/jauge ./cmd/jauge

run: build ## start the daemon on the example configuration, data in ./data
	@JAUGE_DATA_DIR=$${JAUGE_DATA_DIR:-./data} exec bin/jauge run --config $${JAUGE_CONFIG:-configs/example.yaml}

test: ## vet, formatting and all tests that need nothing but Go
	$(GO) vet ./...
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	$(GO) test ./...

race: ## the same tests with the race detector, in random order
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -count=1 ./...

integration: ## tests against real servers; their addresses come from the environment or from make testbed
	$(GO) vet -tags integration ./...
	@set -e; if [ -z "$$JAUGE_TEST_ATPROTO" ] && [ -f $(TESTBED)/env ]; then . ./$(TESTBED)/env; fi; \
	set -x; $(GO) test -tags integration -count=1 -p 1 -timeout $(INTEGRATION_TIMEOUT) $$(git grep -l --untracked '^//go:build integration' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's,^,./,')

bench: ## all benchmarks, with allocations; those that need InfluxDB too where make testbed was run (an hour in all)
	@set -e; tags=; if [ -f $(TESTBED)/env ]; then . ./$(TESTBED)/env; tags='-tags integration'; \
	else echo "without InfluxDB: its benchmarks are left out until make testbed has run"; fi; \
	set -x; $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 -timeout $(BENCH_TIMEOUT) $$tags ./...

lint: bin/golangci-lint ## the linters of .golangci.yml
	bin/golangci-lint run ./...

bin/golangci-lint:
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

fmt: ## format all Go files
	gofmt -w $$(git ls-files '*.go')

fuzz: ## run every fuzz test for FUZZTIME (30s)
	@set -e; git grep -l '^func Fuzz' -- '*_test.go' | while read -r f; do \
	  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$f" | while read -r name; do \
	    echo "== $$name in $$(dirname "$$f")"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$f")" </dev/null; \
	  done; done

golden: ## write the expected results of the data-driven tests anew; read the diff before committing
	$(GO) test ./collectors/... -update

testbed: ## bring up the real servers for the integration tests; their addresses: .testbed/env
	.ci/testbed/up.sh $(TESTBED)

testbed-down: ## stop them
	.ci/testbed/down.sh $(TESTBED)

clean: ## remove what was built
	rm -rf bin dist
