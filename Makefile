# Meterhouse. `make help` lists the targets.
SHELL := /bin/sh
export CGO_ENABLED := 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
ENGINE := engine/node_modules/.fetched
CONSOLE := server/console/dist/index.html
FUZZTIME ?= 30s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build everything and serve on 127.0.0.1:8080 with a demo catalog
	bin/meterhouse serve --demo

.PHONY: test
test: engine web ## run all tests, on the real engine
	go test -timeout 15m ./...
	cd docs/deploy && go test ./...
	cd web && npm test --silent

.PHONY: test-browser
test-browser: build ## use the console in a real Chromium (CHROMIUM names it)
	cd web && npm run e2e --silent

.PHONY: test-docker
test-docker: engine web ## the same on ClickHouse's official image, by Docker
	METERHOUSE_TEST_BACKEND=docker go test -timeout 30m ./...

.PHONY: test-upgrade
test-upgrade: engine ## upgrade an installation of the last release, under load
	.ci/upgrade

.PHONY: build
build: engine web ## build bin/meterhouse and bin/loadtest
	go build -trimpath -ldflags '-X main.release=$(VERSION)' -o bin/meterhouse ./cmd/meterhouse
	go build -trimpath -o bin/loadtest ./loadtest

.PHONY: engine
engine: $(if $(LIBCHDB_PATH),,$(ENGINE)) ## fetch the engine library, unless LIBCHDB_PATH names one

$(ENGINE): engine/package.json engine/package-lock.json engine/install.sh
	@engine/install.sh

.PHONY: web
web: $(CONSOLE) ## build the console into server/console/dist

$(CONSOLE): web/node_modules/.fetched $(wildcard web/*.html web/*.ts web/public/*) \
		$(wildcard web/src/*.ts web/src/*/*.ts web/src/styles/*.css)
	cd web && npm run build --silent

web/node_modules/.fetched: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --silent && touch node_modules/.fetched

.PHONY: check
check: ## formatting, vet, staticcheck, tidy modules
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt: $$out"; exit 1; }
	go vet ./...
	cd docs/deploy && go vet ./... && go mod tidy -diff
	go tool staticcheck ./...
	go mod tidy -diff

.PHONY: vuln
vuln: ## hold the modules against Go's vulnerability database (needs vuln.go.dev)
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

.PHONY: demo
demo: build ## fill a running `make run` with usage to look at
	bin/loadtest demo --live

.PHONY: fuzz
fuzz: ## fuzz every decoder for FUZZTIME (30s)
	@for file in $$(grep -rl --include='*_test.go' -E '^func Fuzz' .); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$file); do \
			echo "$$file $$name"; \
			go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file) || exit 1; \
		done; \
	done

SEED ?= 0
SEEDS ?= 20
DURATION ?= 25s

.PHONY: chaos
chaos: engine ## break an installation in SEEDS ways from SEED on (0: any), DURATION each
	go test -count=1 -timeout 12h -run '^TestChaos$$' -v ./cmd/meterhouse \
		-seed=$(SEED) -chaos-seeds=$(SEEDS) -chaos-time=$(DURATION)

SCENARIO ?= .*

.PHONY: chaos-billing
chaos-billing: engine ## report to a Stripe that misbehaves, SEEDS times from SEED on (0: any)
	go test -count=1 -timeout 12h -run '^TestChaos$$/^$(SCENARIO)$$' -v ./billing \
		-seed=$(SEED) -billing-seeds=$(SEEDS)

.PHONY: bench
bench: build ## measure writes against their references; prints a table for docs/benchmarks.md
	@loadtest/bench.sh

DATA ?= data/reads
EVENTS ?= 100M

.PHONY: bench-read
bench-read: build ## fill DATA with EVENTS, once, and measure reads; prints a table for docs/benchmarks.md
	@loadtest/bench_read.sh $(DATA) $(EVENTS)

.PHONY: clean
clean: ## remove what was built, not the data
	rm -rf bin engine/node_modules web/node_modules
