# The first command of a new checkout is `make run`; `make help` lists the others.
# PYTHON=python3.12 chooses the interpreter that the environment is made of.
PYTHON ?= python3
# Twice the 2 cores that the suite is meant for: tests of the running UI mostly wait.
TEST_WORKERS ?= 4
ARGS ?=

BIN := .venv/bin
NEWEST := .venv-newest
STAMP := .venv/.installed
export DAGSTER_DISABLE_TELEMETRY := yes
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# An environment knows its own place: after a move, or an install that was cut short, it is made again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): fresh-environment
endif

.DEFAULT_GOAL := help
.PHONY: help run ui test test-newest lint docs bench lock env clean fresh-environment check-python

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: $(STAMP)  ## bring the warehouse up to date with the lake (a sample lake if it is empty)
	@$(BIN)/sparkify run --sample $(ARGS)

ui: $(STAMP)  ## the Dagster UI with its daemon
	@$(BIN)/sparkify ui $(ARGS)

test: $(STAMP)  ## the whole test suite; ARGS="-k ledger" narrows it
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(ARGS)

# Core, web server and libraries match in pairs: all of Dagster's pins become lower bounds, and uv
# finds the newest that match. Names that moved are told first, for then no fixture can be loaded.
test-newest: check-python  ## the suite with the newest Dagster that resolves; takes ARGS, too
	@$(PYTHON) -m venv --clear $(NEWEST)
	@$(NEWEST)/bin/python -m pip install -qq uv
	@sed 's/"\(dagster[a-z-]*\)==/"\1>=/' pyproject.toml > $(NEWEST)/pyproject.toml
	@$(NEWEST)/bin/python -m uv pip install --quiet --upgrade --python $(NEWEST)/bin/python \
	  --requirements $(NEWEST)/pyproject.toml --extra dev
	@$(NEWEST)/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
	@echo "The newest Dagster that resolves:"
	@$(NEWEST)/bin/python -m pip freeze --exclude-editable | sed -n 's/^dagster/  &/p'
	@$(NEWEST)/bin/python -m pytest -q --noconftest sparkify_dagster_tests/defs/test_dagster_private.py
	@$(NEWEST)/bin/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(ARGS)

lint: $(STAMP)  ## ruff, its formatter, which folder may import what, and mypy in strict mode
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

docs: $(STAMP)  ## make docs/data_dictionary.md anew
	@$(BIN)/python -m sparkify_dagster.catalogue.make_docs

bench: $(STAMP)  ## measure whole `sparkify run` processes; takes several minutes
	@$(BIN)/python -m benchmarks $(ARGS)

env: $(STAMP)  ## only make the environment, .venv
	@:

$(STAMP): requirements.lock pyproject.toml
	@echo "Installing the locked packages into .venv ..."
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@pwd -P > $(STAMP)

fresh-environment: check-python
	@$(PYTHON) -m venv --clear .venv

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed and '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }

lock:  ## choose the newest versions that pyproject.toml allows and write requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq uv
	@$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --generate-hashes --no-annotate --no-strip-extras \
	  --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean:  ## remove the environment and caches; keeps the lake, the warehouse and Dagster's storage
	@rm -rf .venv $(NEWEST) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
