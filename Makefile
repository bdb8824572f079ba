# make demo, test, slow, lint, aarch64, fuzz, sanitize, bench, scaling, docs, wheels, clean, help: each target sets up what it needs in .venv.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport PYTHONPATH PYTHONHOME CONDA_PREFIX

# The first of these that runs and is new enough.
find_python = for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done
PYTHON ?= $(shell $(find_python))
BIN := .venv/bin
CACHE ?= .cache
SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find rust -name '*.rs' -o -name Cargo.toml)

.PHONY: help demo test slow lint aarch64 aarch64-python fuzz sanitize bench scaling gpu-kit build docs wheels clean lock \
	lock-docs

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 8

demo: .venv/built  ## pack a real model in nine formats, prove every tensor exact, print one table
	@$(BIN)/python examples/demo.py --cache $(CACHE)

test: .venv/built  ## all tests and checks, with a summary
	@$(BIN)/python tools/checks.py

slow: .venv/built  ## the tests that take minutes: every plan of the GPU kernels through the compiler, where it is installed
	@$(BIN)/python -m pytest -q -m slow tests

lint: .venv/built  ## only the checks that run no test
	@$(BIN)/python tools/checks.py --lint

aarch64: .venv/ready  ## clippy and the Rust tests for 64-bit ARM, under qemu; skipped where its tools are missing
	@$(BIN)/python tools/aarch64.py $(ARGS)

aarch64-python: .venv/ready  ## README and conformance on 64-bit ARM under qemu, with the wheel of make wheels; takes long
	@$(BIN)/python tools/aarch64_python.py $(ARGS)

fuzz:  ## a million executions of every fuzz target of the Rust readers; needs a nightly toolchain, else skipped
	@$(PYTHON) tools/fuzz.py $(ARGS)

sanitize:  ## the Rust tests under AddressSanitizer and ThreadSanitizer; needs a nightly toolchain, else skipped
	@$(PYTHON) tools/sanitize.py $(ARGS)

bench: .venv/built  ## time every case, print the table, write benches/record/<machine>/<date>.json
	@$(BIN)/python benches/python/run.py $(ARGS)

scaling: .venv/built  ## compare threads and instruction sets, write benches/record/<machine>/<date>-scaling.json
	@$(BIN)/python benches/python/scaling.py $(ARGS)

gpu-kit: .venv/ready  ## what a machine with a GPU and no network needs for benches/gpu/kit.sh, in gpu-kit/
	@$(BIN)/python tools/gpu_kit.py

docs: .venv/built build/docs-ready  ## the site of docs/, in build/site; a warning or a broken link is an error
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=python:$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])') \
		build/docs-env/bin/mkdocs build --strict --quiet
	@echo "wrote build/site/index.html"

wheels: .venv/ready build/wheels-ready  ## wheels for x86-64 and aarch64 and the archive of sources, in dist/
	@PATH="$(CURDIR)/build/wheels-env/bin:$$PATH" $(PYTHON) tools/wheels.py

build: .venv/built  ## the environment and the release extension

clean:  ## remove what the other targets made, downloads excepted
	rm -rf .venv target build dist python/sparsefmt/*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find python tests benches examples tools -name __pycache__ -type d -prune -exec rm -rf {} +

lock:  ## renew requirements/dev.lock from the newest versions that pyproject.toml allows
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python tools/dev_requirements.py > .venv-lock/wanted
	.venv-lock/bin/pip install -q -r .venv-lock/wanted
	{ echo "# Made by 'make lock' (pip freeze, Python 3.11); installs on Python 3.11 to 3.13."; \
		.venv-lock/bin/pip freeze; } > requirements/dev.lock
	rm -rf .venv-lock

# Apart from .venv, whose lock is for tests: the site needs other versions of some of its packages.
build/docs-ready: requirements/docs.lock
	@rm -rf build/docs-env && mkdir -p build && $(PYTHON) -m venv build/docs-env
	@build/docs-env/bin/python -m pip install -q -r requirements/docs.lock
	@touch $@

build/wheels-ready: requirements/wheels.lock
	@rm -rf build/wheels-env && mkdir -p build && $(PYTHON) -m venv build/wheels-env
	@build/wheels-env/bin/python -m pip install -q -r requirements/wheels.lock
	@touch $@

lock-docs:  ## renew requirements/docs.lock
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install -q mkdocs-material mkdocstrings-python
	{ echo "# What 'make docs' needs beside requirements/dev.lock; made by 'make lock-docs'."; \
		.venv-lock/bin/pip freeze; } > requirements/docs.lock
	rm -rf .venv-lock

.venv/ready: requirements/dev.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; set PYTHON=/path/to/python3" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "error: cargo not found; install Rust 1.89 or newer (rustup.rs)" >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q -r requirements/dev.lock
	@touch $@

.venv/built: .venv/ready $(SOURCES)
	@echo "building the release extension (a minute or two)"
	@$(BIN)/maturin develop --release --locked > .venv/build.log 2>&1 || { cat .venv/build.log >&2; exit 1; }
	@touch $@
