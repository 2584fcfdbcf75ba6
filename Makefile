PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROJECT := pyproject.toml constraints.txt
# One more than cores: many tests wait for a worker, a terminal or a clock.
XDIST  ?= 3

.PHONY: run install dev test test-slow check format bench picture clean

run: install ## install what running needs, and start the app (without a terminal: a scenario, headless)
	@if [ -t 0 ] && [ -t 1 ]; \
	then $(BIN)/optexplore; else $(BIN)/optexplore --batch scenarios/toy-sgd/escape.toml; fi

install: $(VENV)/.installed

dev: $(VENV)/.installed-dev

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "optexplore needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(PROJECT) | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(PROJECT) | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/.installed $@

test: dev ## the ordinary suite
	$(BIN)/python -m pytest -n $(XDIST) --dist loadfile

test-slow: dev ## long statistics, long faults, and all examples of what is true of any input
	$(BIN)/python -m pytest -n $(XDIST) --dist loadfile -m 'slow or hypothesis' --hypothesis-profile thorough

check: dev ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## every figure as a ratio to a peer in the same run
	$(BIN)/python -m benchmarks

picture: dev ## the picture of the README: the app's own screen after a real run
	$(BIN)/python docs/picture.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
