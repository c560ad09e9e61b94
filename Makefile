# Two commands are enough: `make timeline` and `make test`. Each sets up .venv by itself, once.

# The first of these that is 3.11 to 3.13; another by `make PYTHON=/path/to/python …`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help timeline test check slow bench peers clean

help:
	@echo "make timeline   train the image classifiers on digits, write runs/timeline/index.html"
	@echo "make test       run the tests"
	@echo "make check      format, lint, import layers, tests"
	@echo "make slow       the tests that learn something real (minutes)"
	@echo "make bench      milliseconds a step of every model, beside PyTorch"

timeline: $(BIN)/.base
	$(BIN)/zoo timeline

test: $(BIN)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(BIN)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(MAKE) test

slow: $(BIN)/.dev
	$(BIN)/python -m pytest -m slow

bench: $(BIN)/.peers
	$(BIN)/zoo bench --peers

peers: $(BIN)/.peers

# Each stamp stands for one install; a second call finds it and installs nothing.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "zoo needs Python 3.11, 3.12 or 3.13; none was found (make PYTHON=/path/to/python)"; exit 2; }
	$(PYTHON) -m venv .venv

$(BIN)/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(BIN)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(BIN)/.base

$(BIN)/.peers: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev,peers]'
	@touch $@ $(BIN)/.base $(BIN)/.dev

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache
