# The front door. The build itself is Meson's (meson.build); this file names what one wants of it.

JOBS    ?= $(shell nproc)
PYTHON  ?= /usr/bin/python3
RELEASE := build/release
SAN     := build/san
FLOW    ?= examples/wikipedia.yaml
DIR     ?= data

.PHONY: help run test torture build san tsan setup bench fuzz fmt lint clean screenshot
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'

run: build ## take in the Wikimedia feed, count it, show it at http://127.0.0.1:8080/
	@mkdir -p $(DIR)
	exec build/leat run $(FLOW) --dir $(DIR) --simulate-after 10s $(ARGS)

build: ## the release binary, build/leat
	@scripts/setup run
	@[ -f $(RELEASE)/build.ninja ] || meson setup $(RELEASE) --buildtype=debugoptimized -Dtests=false >/dev/null
	@ninja -C $(RELEASE) -j $(JOBS) --quiet
	@cp -u --remove-destination $(RELEASE)/src/cli/leat build/leat

san: ## the same with AddressSanitizer and UBSan and the unit tests, in build/san
	@scripts/setup test
	@[ -f $(SAN)/build.ninja ] || meson setup $(SAN) -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(SAN) -j $(JOBS) --quiet

tsan: ## what has threads, under ThreadSanitizer, in build/tsan
	@scripts/setup test
	@[ -f build/tsan/build.ninja ] || meson setup build/tsan --buildtype=debugoptimized -Db_sanitize=thread \
		-Db_lundef=false -Dwerror=false >/dev/null
	@ninja -C build/tsan -j $(JOBS) --quiet
	@tests/tsan

test: build san ## everything that must hold before a change goes in, in under ten minutes
	@$(PYTHON) tests/run

torture: build san ## the long rounds of the same, an hour or more
	@$(PYTHON) tests/run --torture

bench: build ## leat beside redis-server on this machine, in turns; prints the ratios (docs/bench.md)
	@scripts/setup test
	@ninja -C $(RELEASE) -j $(JOBS) --quiet bench-programs
	@$(PYTHON) bench/run.py $(ARGS)

fuzz: ## feed mutated bytes to whatever reads bytes from outside
	@fuzz/run

screenshot: build ## docs/dashboard.png, by the browser test
	@scripts/setup test
	@LEAT_SCREENSHOT=docs/dashboard.png $(PYTHON) -m pytest -q tests/browser

fmt: ## format the C sources in place
	@git ls-files '*.c' '*.h' '*.cc' '*.cpp' | xargs clang-format -i

lint: ## layers, format and static analysis; reports, changes nothing
	@scripts/lint

clean: ## remove what was built (not what was recorded in data/)
	rm -rf build
