# libpondsocket. What people need first:
#   make demo     builds the library, starts a real server, and has two C programs chat through it
#   make test     sets itself up and runs every test
#   make help     the rest

CARGO ?= cargo
export PATH := $(CURDIR)/build/venv/bin:$(PATH)
PREFIX ?= /usr/local
LIB := target/release/libpondsocket.so
STATIC := target/release/libpondsocket.a
SERVER := target/release/pond-test-server
RUST_SOURCES := $(shell find src build.rs Cargo.toml Cargo.lock -type f)
SERVER_SOURCES := $(shell find server/src server/Cargo.toml Cargo.lock -type f)

help:
	@sed -n 's/^#   //p; s/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | sort -u

lib: $(LIB) ## the shared library, as small as it gets, and the static one: target/release/libpondsocket.{so,a}
static: $(LIB)
# Named crate types: only without the rlib does the whole program get optimised at link time. The linker's wrapper gives
# SONAME and symbol versions; programs linked with this file look for it by its SONAME.
$(LIB): $(RUST_SOURCES) packaging/versioned-cc packaging/unique-symbols
	$(CARGO) rustc --release --lib --crate-type cdylib,staticlib -- $(LINKER) \
		--print native-static-libs=$(CURDIR)/target/release/native-libs
	packaging/unique-symbols $(STATIC)
	ln -sf libpondsocket.so target/release/$$(readelf -d $(LIB) | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
	@touch $@

ifneq ($(shell uname -s),Darwin)
LINKER := -C linker=$(CURDIR)/packaging/versioned-cc -C linker-flavor=gcc
endif

# CARGO_C=1: cargo-c, distributors' tool, builds; otherwise what `make lib` made is installed. The files are the same.
HOST := $(shell $(or $(RUSTC),rustc) -vV | sed -n 's/^host: //p')
install: $(if $(CARGO_C),lib-cargo-c,lib) ## into PREFIX (/usr/local), below DESTDIR if given; what it can be told: packaging/install.sh
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" $(if $(CARGO_C),BUILD=target/$(HOST)/release) packaging/install.sh install
lib-cargo-c:
	CARGO_TARGET_$(shell echo $(HOST) | tr 'a-z-' 'A-Z_')_LINKER=$(CURDIR)/packaging/versioned-cc \
		$(CARGO) cbuild --release --target $(HOST) --library-type cdylib --library-type staticlib
	packaging/unique-symbols target/$(HOST)/release/libpondsocket.a
uninstall: ## takes it away again: the same PREFIX and DESTDIR
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" packaging/install.sh uninstall
dist: lib ## an archive that may be unpacked anywhere, and a .deb: build/dist
	packaging/dist.sh

test-install: setup-install lib server ## installs, and builds other people's programs with what was installed; the ABI gate
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/install/run.sh
abi: lib ## does the library still serve programs that were linked with the committed interface?
	packaging/abi/check.sh
setup-install:
	@tools/setup.sh install

server: $(SERVER) ## the server of the demo and the tests
$(SERVER): $(SERVER_SOURCES)
	$(CARGO) build --release -p pond-test-server
	@touch $@

examples: lib ## the C examples: examples-c/build
	$(MAKE) -C examples-c

setup-build:
	@tools/setup.sh build
setup:
	@tools/setup.sh test

demo: setup-build lib server ## a conversation over a real server that dies and comes back
	@$(MAKE) --no-print-directory -s -C examples-c demo POND_TEST_SERVER=$(CURDIR)/$(SERVER)

test: setup test-rust test-c test-contract test-loops test-examples test-size valgrind ## everything
	@echo "all tests passed"

test-rust: ## the floors, the header, the server
	$(CARGO) build --lib
	$(CARGO) test --workspace

test-c: lib server ## the C tests over the real server, in every mode of delivery
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/c/run.sh

test-contract: lib server ## the shutdown contract, misuse of every function, dials and process state
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/contract/run.sh

test-loops: lib server examples ## other people's event loops, and what a program may rely on in them
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/loops/run.sh

test-examples: lib server examples ## the examples and the demo
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/examples.sh

test-size: lib ## the size of the stripped library
	tests/size.sh $(LIB)

valgrind: lib server examples ## memcheck: quick start and C tests
	$(CARGO) build --lib
	VALGRIND=1 POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/examples.sh quickstart
	VALGRIND=1 POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/c/run.sh

reliability-ci: setup lib server ## faults, panics, misuse under load, simulation, a short soak: what fits CI (some 6 minutes)
	$(CARGO) test --features inject --test reliability --test panic_injection
	POND_SIM_SECONDS=60 $(CARGO) test --test session -- --nocapture simulation::simulation
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/reliability/hammer/run.sh
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/reliability/soak/run.sh

reliability: reliability-ci ## the same, longer, and every seeded bug: some 100 minutes (docs/reliability.md)
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/reliability/long.sh

fuzz: ## every fuzz target for SECONDS (60) each; needs the nightly toolchain and cargo-fuzz
	SECONDS=$(or $(SECONDS),60) fuzz/run.sh

setup-interop:
	@tools/setup.sh interop

interop: setup-interop lib server ## every scenario against every server, and the official clients: writes docs/interop.md
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/interop/run.sh
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) tests/interop/failover/run.sh

setup-bindings:
	@tools/setup.sh bindings

bindings: bindings-cpp bindings-go bindings-python ## builds and tests every binding against real servers
bindings-cpp: setup-bindings lib server ## the C++ binding: bindings/cpp
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) bindings/cpp/run.sh

.PHONY: bindings-go setup-bindings-go
setup-bindings-go:
	@tools/setup.sh bindings-go
bindings-go: setup-bindings-go lib server ## the Go binding: bindings/go
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) bindings/go/run.sh

.PHONY: bindings-python setup-bindings-python
setup-bindings-python:
	@tools/setup.sh bindings-python
bindings-python: setup-bindings-python lib server ## the Python binding: bindings/python
	POND_TEST_SERVER=$(CURDIR)/$(SERVER) bindings/python/run.sh

.PHONY: setup-bench bench bench-quick bench-micro bench-gate bench-gate-test bench-sizes lint-bench
setup-bench:
	@tools/setup.sh bench

bench: setup-bench lib ## measures everything against everybody, about 25 minutes: writes docs/performance.md
	bench/run.py --write $(BENCH)

bench-quick: setup-build lib ## ours beside a bare WebSocket client, two minutes
	bench/run.py --quick $(BENCH)

bench-micro: ## single functions of the lower floors
	cd bench/micro && CARGO_TARGET_DIR=$(CURDIR)/build/bench/target $(CARGO) bench

bench-gate: ## instructions per message of this tree against the commit BASE (main), by callgrind
	bench/gate/gate.py $(or $(BASE),main) $(GATE)

bench-gate-test: ## shows that the gate can fail
	bench/gate/gate.py --self-test

bench-sizes: ## builds the shared library in its variants, about 20 minutes: writes the table in docs/performance.md
	bench/sizes.py

lint-bench: ## format and clippy of bench/, which is not of the workspace: needs its dependencies, some minutes the first time
	cd bench && $(CARGO) fmt --all --check
	cd bench && CARGO_TARGET_DIR=$(CURDIR)/build/bench/target $(CARGO) clippy --locked --workspace --all-targets -- -D warnings

lint: ## format and clippy, of the micro-benchmarks, too: they call what may change inside
	cd bench/micro && $(CARGO) fmt --check
	cd bench/micro && CARGO_TARGET_DIR=$(CURDIR)/build/bench/target $(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

msrv: ## checks the library with the oldest Rust that it promises to build with
	tools/msrv.sh

header: ## writes include/pondsocket.h
	POND_WRITE_HEADER=1 $(CARGO) test --test header the_committed_header

clean:
	$(CARGO) clean
	rm -rf build examples-c/build tests/c/build tests/contract/build tests/loops/build bindings/cpp/build bindings/python/build

.PHONY: help lib static lib-cargo-c install uninstall dist setup-install test-install abi server examples setup-build setup setup-interop demo msrv test test-rust test-c test-contract test-loops test-examples \
	test-size valgrind interop setup-bindings bindings bindings-cpp reliability reliability-ci fuzz lint header clean
