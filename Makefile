# "make help" lists the targets.

CARGO ?= cargo
NGINX ?= nginx
TARGET := $(or $(CARGO_TARGET_DIR),target)
MODULE := $(TARGET)/release/ngx_http_aws_auth_module.so
SCRIPTS := $(wildcard tools/*) nginx-conf/rotation/renew-aws-keys .ci/run
# what is tested, shown and measured goes with the vendored nginx
VENDORED := env -u NGINX_SOURCE_DIR -u NGINX_BUILD_DIR
# the suite of Debian whose nginx the module is checked against: this machine's own
SUITE := $(shell . /etc/os-release 2>/dev/null && echo $$VERSION_CODENAME)

.PHONY: all demo test test-large fuzz sanitize soak matrix check bench deny install clean help

all: ## build the module and, with the vendored sources, the nginx that goes with it
	@tools/setup build
	tools/build

demo: ## serve an object of a private bucket, from nothing (DEMO_ONCE=1 to exit after it)
	@tools/setup demo
	$(VENDORED) tools/build
	$(VENDORED) $(CARGO) build --locked --example demo
	@exec $(TARGET)/debug/examples/demo

test: ## build everything and run every test
	@tools/setup test
	$(VENDORED) tools/build
	$(VENDORED) $(CARGO) test --locked

test-large: ## upload and download objects of up to 1 GiB, and measure the memory that takes
	@tools/setup test
	$(VENDORED) tools/build
	$(VENDORED) $(CARGO) test --locked --test large -- --ignored --nocapture

fuzz: ## fuzz the core and the head rewriter (FUZZ_SECONDS, 240 if not set)
	@tools/setup fuzz
	$(VENDORED) tools/fuzz

sanitize: ## run the tests under valgrind memcheck
	@tools/setup sanitize
	$(VENDORED) tools/build
	$(VENDORED) tools/sanitize

soak: ## mixed traffic with reloads, kills and bad upstreams (SOAK_MINUTES, 10 if not set)
	@tools/setup test
	$(VENDORED) tools/build
	$(VENDORED) $(CARGO) test --locked --test soak -- --ignored --nocapture

matrix: ## run every test on the vendored nginx and on Debian's of three suites
	@tools/setup test
	$(VENDORED) tools/build
	$(VENDORED) tools/matrix

check: ## check formats, lints, documentation, scripts, and the build for Debian's own nginx
	@tools/setup check
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(VENDORED) $(CARGO) clippy --locked --all-targets -- -D warnings
	$(VENDORED) RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items
	shellcheck $(SCRIPTS)
	flake8 --max-line-length 100 generate_signing_key $(wildcard tests/*/*.py)
	tools/debian-nginx $(SUITE) $(TARGET)/nginx/$(SUITE)
	. $(TARGET)/nginx/$(SUITE)/env && $(CARGO) clippy --locked --lib --no-default-features \
		--target-dir $(TARGET)/nginx/target -- -D warnings

bench: ## measure the signing core and the proxy, and print both as ratios
	@tools/setup bench
	$(VENDORED) tools/build
	$(VENDORED) $(CARGO) bench --locked

deny: ## check licences, bans and sources of the dependencies with cargo-deny
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check licenses bans sources

install: ## put the module into nginx's modules directory (DESTDIR, MODULES_DIR, NGINX)
	@NGINX='$(NGINX)' MODULE='$(MODULE)' DESTDIR='$(DESTDIR)' MODULES_DIR='$(MODULES_DIR)' \
		tools/install

clean: ## remove what was built
	$(CARGO) clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
