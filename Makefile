# Everything a fresh machine needs, in two commands: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: help demo test lint bench install clean

help:
	@echo "make demo   install into .venv, train a tiny model on synthetic scenes, look at what it sees"
	@echo "make test   install into .venv, then lint, type checks and all tests"
	@echo "make lint   ruff, mypy and import-linter alone"
	@echo "make bench  speed and memory beside the peers, about 8 minutes; writes benchmarks.md"
	@echo "make clean  remove what the demo made"

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pgseg needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(VENV)/installed

demo: install
	@PGSEG=$(abspath $(BIN))/pgseg sh examples/demo.sh $(DEMO)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest

bench: install
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/pgseg bench --out benchmarks.md

clean:
	rm -rf $(DEMO)
