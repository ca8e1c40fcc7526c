# make demo   three example programs and the server, live
# make test   everything that CI runs
# make bench  statvent beside its peers, into benchmarks/RESULTS.md (10 minutes)
# make soak   workers come and go under scrapes, for MINUTES (15): does serve grow?
# make chaos  programs, serves and readers under all that can happen, held against the
#             truth, for MINUTES (15); a failure prints the SEED that does the same again
# make faults the system calls of serve, emit and a program fail, one after another, in
#             more ways and at more places than in make test (15 minutes)
# make race   all of e2e with the race detector, in serve and the programs as well, but for
#             what measures memory or needs each system call to be the program's (20 minutes)
# make vuln   whether a vulnerability is known of what the binary is made of, by the database
#             of vuln.go.dev, or another one: VULNDB=file:///...
# make cover  how much of pkg/ its tests run, and what they don't
# make screenshot  the live page, into docs/page.png (6 minutes)
# make dist   what is released, into dist/: archives, Debian packages, checksums
# make build, completions and man write what the repository or bin/ has; the other targets are
# parts of make test.

GO ?= go
export GO
LINT = $(GO) tool -modfile=tools/go.mod golangci-lint
FUZZTIME ?= 5s
MINUTES ?= 15
SEED ?= 0
VULNDB ?= https://vuln.go.dev
TAGS = nethttpomithttp2

# The race detector needs a C compiler. setup installs one where it may.
HAVE_CC = $(shell command -v $$($(GO) env CC) >/dev/null && echo yes)
RACE = $(if $(HAVE_CC),-race)

.PHONY: build demo test bench soak chaos faults race vuln cover screenshot dist setup fmt vet lint unit unit-386 conformance e2e fuzz cross completions check-completions man check-man

# serve speaks HTTP/1.1: without its HTTP/2, every command starts sooner.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) -o bin/statvent .
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/worker ./examples/worker

demo: build
	@scripts/demo.sh bin

test: setup fmt vet check-completions check-man lint unit conformance e2e unit-386 fuzz cross

# What the tests need and the machine lacks is installed, or what is skipped for
# want of it is said.
setup:
	@scripts/setup.sh

fmt:
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "gofmt: the files above are not formatted"; exit 1; }

vet:
	$(GO) vet ./...
	@cd benchmarks && if $(GO) list -deps -test ./... >/dev/null 2>&1; \
	then $(GO) vet ./...; \
	else echo "SKIPPED: the benchmarks, for want of what they compare with"; fi
	@cd conformance && if $(GO) list -deps -test ./... >/dev/null 2>&1; then $(GO) vet ./...; fi

lint:
	$(LINT) run ./...

unit:
	@test -n "$(RACE)" || echo "SKIPPED: the race detector, for want of a C compiler"
	@scripts/gotest.sh -timeout 20m $(RACE) $$($(GO) list ./... | grep -v /e2e)

# What is exposed, held against the parsers of those who read it: in a module of
# their own, so that they are in nobody's build.
conformance:
	@cd conformance && if $(GO) list -deps -test ./... >/dev/null 2>&1; \
	then ../scripts/gotest.sh ./... && ../scripts/fuzz.sh $(FUZZTIME); \
	else echo "SKIPPED: the conformance tests, for want of the parsers that they need"; fi

# The real binary and real processes, without the race detector's slowness.
e2e:
	@scripts/gotest.sh -timeout 20m ./e2e/...

cover:
	@scripts/cover.sh

# A short run of it is part of e2e. SEED=0 is another one each time.
chaos:
	$(GO) test -v -count=1 -timeout $$(($(MINUTES) + 10))m -run '^TestChaos$$' ./e2e -chaos-for=$(MINUTES)m -chaos-seed=$(SEED)

# A tenth of it is part of e2e.
faults:
	$(GO) test -v -count=1 -timeout 2h ./e2e -run 'SystemCallsFail|StartFails|IsInterrupted|LogCanNotBeWritten|CanNotSaveItsState' -inject-all

race:
	GORACE=atexit_sleep_ms=0 $(GO) test -race -count=1 -timeout 1h ./e2e -skip '^Test(CrowdTakes|ServeIsSafeToExpose|EmitWhileSystemCallsFail|ServeWhoseStartFails|WatchManyStats)'

vuln:
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -tags $(TAGS) -db $(VULNDB) ./...

unit-386:
	@if GOARCH=386 CGO_ENABLED=0 $(GO) test -count=1 -run '^$$' ./pkg/format >/dev/null 2>&1; \
	then GOARCH=386 CGO_ENABLED=0 scripts/gotest.sh -short ./pkg/... ./internal/... ./cmd/...; \
	else echo "SKIPPED: the tests for GOARCH=386, which this machine can't run"; fi

fuzz:
	@scripts/fuzz.sh $(FUZZTIME)

cross:
	@for target in linux/arm64 darwin/arm64 freebsd/amd64 windows/amd64; do \
		echo "build $$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) build ./... || exit 1; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) vet ./pkg/... || exit 1; \
	done

completions:
	@scripts/completions.sh completions

bench:
	benchmarks/run.sh

soak:
	$(GO) test ./e2e -run '^TestSoak$$' -count=1 -v -timeout 0 -soak-for $(MINUTES)m

screenshot:
	scripts/screenshot.sh docs/page.png

dist:
	@scripts/dist.sh dist

check-completions:
	@scripts/completions.sh --check completions

man:
	@scripts/man.sh man

check-man:
	@scripts/man.sh --check man
