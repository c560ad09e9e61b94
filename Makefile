# Two commands are enough: `make timeline` and `make test`. Each sets up .venv by itself, once.

# The first of these that is 3.11 to 3.13; another by `make PYTHON=/path/to/python …`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help timeline test test-all test-rest test-peers check lint layers types bench peers clean

help:
	@echo "make timeline   train the image classifiers on scenes, write runs/timeline/index.html"
	@echo "make test       run the quick tests (5 minutes on two cores)"
	@echo "make test-all   run all tests: also every case, what learns something real, and the page in a browser"
	@echo "make test-peers compare with PyTorch and published networks (installs them)"
	@echo "make check      format, lint, import layers, types, quick tests"
	@echo "make bench      milliseconds a step of a model of each family, beside PyTorch"

timeline: $(BIN)/.base
	$(BIN)/zoo timeline

# Two processes share the work; each test file stays in order, and whoever is done first takes over from the other.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(BIN)/.dev
	$(PYTEST)

test-all: test test-rest

# What `make test` leaves out. The markers are explained in pyproject.toml.
REST := slow or browser
test-rest: $(BIN)/.dev
	$(PYTEST) -m '$(REST)'

test-peers: $(BIN)/.peers
	$(PYTEST) -m '' tests/peers

check: lint layers types test

lint: $(BIN)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

layers: $(BIN)/.dev
	$(BIN)/lint-imports

types: $(BIN)/.dev
	$(BIN)/python -m basedpyright --pythonpath $(BIN)/python

bench: $(BIN)/.peers
	$(BIN)/zoo bench --peers

peers: $(BIN)/.peers

# Each stamp stands for one install; a second call finds it and installs nothing.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "zoo needs Python 3.11, 3.12 or 3.13; none was found (make PYTHON=/path/to/python)"; exit 2; }
	$(PYTHON) -m venv .venv

$(BIN)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing zoo with JAX, Flax and Optax into .venv, once (minutes)"
	$(PIP) --editable .
	@touch $@

$(BIN)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing zoo and its test tools into .venv, once (minutes)"
	$(PIP) --editable '.[dev]'
	@touch $@ $(BIN)/.base

$(BIN)/.peers: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing PyTorch and other peers into .venv, once (minutes)"
	$(PIP) --editable '.[dev,peers]'
	$(PIP) --no-deps jax2onnx
	@touch $@ $(BIN)/.base $(BIN)/.dev

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache
