# Everything sets itself up in .venv; only Python 3.11+ and make are needed.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready

.PHONY: help setup test lint types sweep bench demo clean
help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "userbpf needs Python 3.11 or later, this is " + sys.version.split()[0])'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP) ## make .venv with everything that development needs

test: $(STAMP) lint types ## lint, types and the default tests (minutes)
	$(PY) -m pytest -n 2

lint: $(STAMP) ## ruff format and lint
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

types: $(STAMP) ## mypy strict and pyright
	$(PY) -m mypy
	$(PY) -m pyright src

sweep: $(STAMP) ## the long randomised sweeps
	$(PY) -m pytest -n 2 -m sweep

bench: $(STAMP) ## ratios against Linux and native code, in one run; the time to a first result; verification
	$(PY) bench/run.py
	$(PY) bench/cold.py
	$(PY) bench/verify.py

demo: $(STAMP) ## compile the flow counter and run it over a capture of real traffic
	$(PY) tools/demo.py

clean: ## remove what setup and tests made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
