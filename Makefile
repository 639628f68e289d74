# One command for each loop; `make` alone lists them. ARGS="…" is handed on to what is run.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# One folder for everything built; tests and the binary they run share cargo's dev profile.
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASED := $(TARGET)/release/tracewell
CHECKED := $(TARGET)/debug/tracewell
PAGE := ui/dist/index.html
NODE_MODULES := ui/node_modules/.package-lock.json
DEMO_DATA := $(TARGET)/demo-data
FUZZ_SECONDS ?= 60
# Nothing is published yet, so a change is held against what is on main.
SEMVER_BASE ?= main
ARGS ?=

.PHONY: help run test test-long test-loom lint semver bench bench-page bench-axum bench-client bench-search bench-store soak demo fuzz clean

help: ## list these verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: page-if-node ## build the page and the server, and start it on Zipkin's port
	cargo build --release --locked -p tracewell-server
	@echo; echo "Look at http://127.0.0.1:9411/zipkin/ and send spans to http://127.0.0.1:9411/api/v2/spans; Ctrl-C stops."; echo
	exec $(RELEASED) serve $(ARGS)

test: ## install what tests need when it is missing, and run everything
	e2e/setup.sh
	$(MAKE) $(PAGE)
	cargo build --locked --workspace --bins
	TRACEWELL_BIN="$(abspath $(CHECKED))" cargo test --locked --workspace --quiet
	cd ui && npm run check && npm test && npm run size && npm run test:browser
	TRACEWELL_BIN="$(abspath $(CHECKED))" e2e/.venv/bin/pytest e2e

CRASH_SEEDS ?= 10000
KILL_ROUNDS ?= 100
test-long: ## what protects the spans, at length, released: crashes, damage, searches, kills, a full disk (20 minutes)
	cargo build --release --locked -p tracewell-server
	TRACEWELL_CRASH_SEEDS=$(CRASH_SEEDS) cargo test --release --locked -p tracewell-store --lib -- --nocapture crash_tests
	TRACEWELL_CHECK_ALL=1 cargo test --release --locked -p tracewell-store --lib -- --nocapture check_tests
	TRACEWELL_QUERIES=200000 cargo test --release --locked -p tracewell-store --lib -- --nocapture query_tests
	TRACEWELL_BIN="$(abspath $(RELEASED))" TRACEWELL_KILL_ROUNDS=$(KILL_ROUNDS) TRACEWELL_KILL_BATCHES=$$(($(KILL_ROUNDS) * 200)) \
		cargo test --release --locked -p tracewell-e2e --test kill -- --nocapture
	TRACEWELL_BIN="$(abspath $(RELEASED))" TRACEWELL_FULL_DISK_ROUNDS=5 \
		cargo test --release --locked -p tracewell-e2e --test full_disk -- --nocapture

test-loom: ## try every order of the atomic steps of the client's ring
	cargo test --release --locked --quiet --manifest-path crates/client/loom/Cargo.toml --target-dir $(TARGET)

lint: $(NODE_MODULES) ## formatting, clippy, licences, the page's lints: all without a warning
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@command -v cargo-deny >/dev/null || [ -x $(TARGET)/tools/bin/cargo-deny ] || cargo install --locked --root $(TARGET)/tools cargo-deny
	PATH="$(abspath $(TARGET))/tools/bin:$$PATH" cargo deny check bans licenses sources
	@if git ls-remote --quiet https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; \
	then PATH="$(abspath $(TARGET))/tools/bin:$$PATH" cargo deny check advisories; \
	else echo "the list of known vulnerabilities cannot be reached from here: not checked"; fi
	cd ui && npm run lint

semver: ## hold the library's interface against SEMVER_BASE, a git revision (main)
	@command -v cargo-semver-checks >/dev/null || [ -x $(TARGET)/tools/bin/cargo-semver-checks ] || cargo install --locked --root $(TARGET)/tools cargo-semver-checks
	PATH="$(abspath $(TARGET))/tools/bin:$$PATH" cargo semver-checks --package tracewell --all-features \
		--baseline-rev "$$(git rev-parse --verify --quiet $(SEMVER_BASE) || git rev-parse --verify origin/$(SEMVER_BASE))"

bench: ## measure the server over HTTP: table, and bench/out/server.jsonl (ARGS="--spans 100000" for a quick one)
	cargo build --release --locked -p tracewell-server -p tracewell-bench
	$(TARGET)/release/tracewell-bench $(ARGS)

bench-page: $(PAGE) ## measure the trace page in Chromium with 50,000 to 1,000,000 spans: table, and bench/out/page.jsonl (SPANS=50000 for one case)
	cargo build --release --locked -p tracewell-server
	TRACEWELL_BIN="$(abspath $(RELEASED))" node ui/bench/page.mjs

LEAN := $(CURDIR)/bench/data/lean/zipkin_v2.ndjson
bench-store: ## measure sealing by stage and a segment by what takes its bytes (FILES="a.ndjson b.bin" for other spans)
	cargo build --release --locked -p tracewell-bench
	@[ -n "$(FILES)" ] || [ -e $(LEAN) ] || $(TARGET)/release/tracewell-bench tgen --end-us 1760000000000000 --out $(dir $(LEAN))
	cargo bench --locked -p tracewell-store --bench seal -- $(or $(abspath $(FILES)),$(LEAN)) $(ARGS)

bench-search: ## measure reads of 10 M spans: by id, searches, dependencies, warm and cold (ARGS="--spans 100000000" for more)
	cargo build --release --locked -p tracewell-bench
	@[ -e $(LEAN) ] || $(TARGET)/release/tracewell-bench tgen --end-us 1760000000000000 --out $(dir $(LEAN))
	cargo bench --locked -p tracewell-store --bench search -- $(LEAN) --data $(CURDIR)/bench/data/search $(ARGS)

bench-axum: ## measure what the server layer costs an axum handler: table, and bench/out/axum.jsonl
	cargo build --release --locked -p tracewell-bench-axum
	$(TARGET)/release/tracewell-bench-axum $(ARGS)

bench-client: ## measure what a span costs in a service, beside other libraries: table, and bench/out/client.jsonl
	cargo build --release --locked --manifest-path bench/client/Cargo.toml --target-dir $(TARGET)
	$(TARGET)/release/tracewell-bench-client $(ARGS)

MINUTES ?= 30
soak: ## a server under half of its top rate for MINUTES (30), asked and with little room: table, and bench/out/soak.jsonl
	cargo build --release --locked -p tracewell-server -p tracewell-bench
	$(TARGET)/release/tracewell-bench soak --minutes $(MINUTES) $(ARGS)

demo: page-if-node ## start the server and a shop of five services that sends traffic to it
	cargo build --release --locked -p tracewell-server
	@if (exec 3<>/dev/tcp/127.0.0.1/9411) 2>/dev/null; then echo "Port 9411 is taken: stop what listens there." >&2; exit 1; fi
	@# A session of its own: Ctrl-C ends the demo, and the server is asked to stop after it.
	@setsid $(RELEASED) serve --zipkin 127.0.0.1:9411 --data-dir $(DEMO_DATA) & server=$$!; \
	trap 'kill $$server 2>/dev/null; wait $$server || true' EXIT; trap : INT TERM; \
	$(RELEASED) demo --target http://127.0.0.1:9411 --history 1h $(ARGS)

fuzz: ## run each fuzz target for FUZZ_SECONDS (60)
	@command -v cargo-fuzz >/dev/null || [ -x $(TARGET)/tools/bin/cargo-fuzz ] || cargo install --locked --root $(TARGET)/tools cargo-fuzz
	@# The sanitizer is a flag that only nightly compilers take without being told.
	export PATH="$(abspath $(TARGET))/tools/bin:$$PATH" RUSTC_BOOTSTRAP=1; \
	for target in $$(cargo fuzz list); do cargo fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096; done

clean: ## remove what was built, downloaded for tests, measured
	cargo clean
	rm -rf ui/node_modules ui/dist e2e/.venv e2e/.cache e2e/output bench/out bench/data

# ---- the page: built when its sources are newer; without Node the server serves a plain page that says how

.PHONY: page-if-node
page-if-node:
	@if command -v npm >/dev/null; then $(MAKE) $(PAGE); else echo "No npm: the server is built without its page."; fi

$(PAGE): $(NODE_MODULES) $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -print 2>/dev/null)
	cd ui && npm run build
	@touch $@

$(NODE_MODULES): ui/package.json ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund
	@touch $@
