# Everything a developer does, by name. `make` alone lists it.

GO ?= go
BIN := bin/jenner
STATICCHECK := $(GO) tool -modfile=tools/go.mod staticcheck
BENCHTIME ?= 10s
FUZZTIME ?= 10s
SEEDS ?= 1-2600
INCIDENTS ?= 40
SOAK ?= 1h
WORKLOADS ?= 500
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The packages that have benchmarks, and the fuzz tests as PACKAGE:NAME, as the tests say.
BENCH_PACKAGES = $(shell grep -rl --include='*_test.go' '^func Benchmark' . | xargs -r grep -L '^//go:build kube' | xargs -rn1 dirname | sort -u)
FUZZ_TESTS = $(shell grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' . | sed -E 's|/[^/]*:func |:|' | sort -u)

# The packages whose tests need Kubernetes have them in files with the build tag kube. They are run one after the other: they
# share the cluster.
KUBE_FILES = $(shell grep -rlE --include='*_test.go' '^//go:build .*\bkube\b' .)
KUBE_PACKAGES = $(sort $(dir $(KUBE_FILES)))
KUBE_TESTS = $(shell grep -hoE '^func Test[A-Za-z0-9_]+' $(KUBE_FILES) | sed 's/^func //' | paste -sd '|')
BENCH_KUBE = $(GO) test -tags kube -run '^$$' -bench . -benchtime 1x -timeout 20m -v ./test/kube/scale -scale.workloads $(WORKLOADS)
E2E_KUBE = $(GO) test -race -tags kube -timeout 40m -p 1 -parallel 4 -run '^($(KUBE_TESTS))$$' $(KUBE_PACKAGES)

# Both compile everything without paths of this machine, and so share what is compiled already.
build lint: export GOFLAGS += -trimpath

.DEFAULT_GOAL := help
.PHONY: help build test lint bench bench-kube sim soak demo scenarios reference manifests fuzz kubelab test-kubelab e2e-kube scenarios-kube compare-kube bin/kubelab clean \
	e2e-kube-there scenarios-kube-there compare-kube-there bench-kube-there image-there

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the program, bin/jenner
	$(GO) build -ldflags '-X main.version=$(VERSION)' -o $(BIN) ./cmd/jenner

test: ## run all tests with the race detector; those of the loop, which plays storms, have the machine to themselves
	$(GO) test -race -timeout 40m -p 2 $$($(GO) list ./... | grep -v '/loop$$')
	$(GO) test -race -timeout 40m ./loop

lint: ## check format, go vet and staticcheck (staticcheck.conf says which checks are off, and why)
	@unformatted=$$(gofmt -l .); \
		if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GO) vet -tags kube $(KUBE_PACKAGES)
	$(STATICCHECK) -tags kube $(KUBE_PACKAGES)

bench: ## run the benchmarks, some minutes, and bench-kube; BENCHTIME=1s for a quick look
	@echo "packages with benchmarks: $(BENCH_PACKAGES)"
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -timeout 20m -p 1 $(BENCH_PACKAGES)
	@$(MAKE) --no-print-directory bench-kube

sim: ## simulate SEEDS, 1-2600 where not said, with INCIDENTS each; a seed that fails can be played again
	GOGC=400 $(GO) test ./loop -run '^TestSimulation$$' -timeout 60m -v -args -sim.seeds $(SEEDS) -sim.incidents $(INCIDENTS)

soak: ## break the demo shop at random for SOAK, 1h where not said, and report what was healed
	$(GO) test ./cmd/jenner -run '^TestSoak$$' -timeout 90m -v -args -soak $(SOAK)

demo: build ## break a small real shop before your eyes, and heal it
	$(BIN) demo

scenarios: ## break real databases, proxies and queues and heal them, one line each; SCENARIOS="S2 S20" for some
	$(GO) run ./scenarios $(ROUNDS:%=--rounds %) $(SCENARIOS)

reference: ## write docs/reference anew from the code
	$(GO) run ./cmd/jenner reference docs/reference

manifests: ## write deploy/crds, the chart's crds and deploy/manifests anew from the code and the chart
	$(GO) run ./cmd/jenner manifests crds --dir deploy/crds
	cp deploy/crds/*.yaml deploy/chart/jenner/crds/
	$(GO) run ./cmd/jenner manifests >deploy/manifests/jenner.yaml

fuzz: ## run each fuzz test for FUZZTIME, 10s where not said
	@set -e; for test in $(FUZZ_TESTS); do \
		echo "$${test%%:*} $${test##*:}"; \
		$(GO) test -run '^$$' -fuzz "^$${test##*:}\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$${test%%:*}"; \
	done

test-kubelab: ## check and test what starts that Kubernetes, which is a module of its own
	cd test/kubelab && CGO_ENABLED=0 $(GO) vet ./...
	cd test/kubelab && CGO_ENABLED=0 $(GO) tool -modfile=../../tools/go.mod staticcheck ./...
	cd test/kubelab && CGO_ENABLED=0 $(GO) test -trimpath -timeout 20m ./...

kubelab: bin/kubelab ## start a real Kubernetes on this machine and say how to reach it; Ctrl-C stops it; needs root
	bin/kubelab serve

e2e-kube: bin/kubelab ## run the tests that need Kubernetes, in the cluster of KUBECONFIG or in one that is started for them
scenarios-kube: bin/kubelab ## break and heal what runs in Kubernetes, in the cluster of KUBECONFIG or in one that is started for it
compare-kube: bin/kubelab ## measure how fast Kubernetes alone and Jenner heal the same troubles, ROUNDS times each, 3 where not said
bench-kube: bin/kubelab ## measure Jenner over WORKLOADS Deployments of 10 pods, 500 where not said, on kwok's nodes
e2e-kube scenarios-kube compare-kube bench-kube:
	@if [ -n "$$KUBECONFIG" ]; then echo "in the cluster of $$KUBECONFIG"; $(MAKE) --no-print-directory $@-there; \
		else bin/kubelab run -- $(MAKE) --no-print-directory $@-there; fi

e2e-kube-there: image-there
	@echo "the tests with the build tag kube of $(KUBE_PACKAGES)"
	@$(E2E_KUBE)

scenarios-kube-there: image-there
	$(GO) run ./scenarios --kube $(ROUNDS:%=--rounds %) $(SCENARIOS)

compare-kube-there: image-there
	$(GO) run ./scenarios --compare $(or $(ROUNDS),3)

bench-kube-there:
	$(BENCH_KUBE)

# Faults that put a container into a pod need an image of Jenner. Nodes of kubelab are given the one of this repository.
image-there:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/jenner-image ./cmd/jenner
	@if [ -n "$$KUBELAB_DIR" ]; then "$$KUBELAB" image jenner --binary bin/jenner-image; fi

bin/kubelab:
	cd test/kubelab && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/kubelab .

clean: ## remove what was built
	rm -rf bin
