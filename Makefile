# make rehearse   watch the snowshoe cleanup on real hosts in namespaces of this machine
# make test       run every test
# Both install what they need first, and may be run any number of times.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# The distribution's own Python where it will do: Debian builds it with profiles, and one that pyenv compiled is a tenth slower.
ifndef PYTHON
PYTHON := $(shell /usr/bin/python3 -c 'import sys, ensurepip; print(sys.executable if sys.version_info >= (3, 11) else "python3")' 2>/dev/null || echo python3)
endif
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PACKAGES := blocks cli.py deliverability deployments flows rehearsal reports
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile

export PYTHON

# The Python environment and the rehearsal's file system are made side by side.
MAKEFLAGS += --jobs=2

.PHONY: help rehearse test lint bench faults setup rehearsal able lock clean

help: ## this text
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

PROCEDURE ?= snowshoe-cleanup

rehearse: setup rehearsal ## run the snowshoe cleanup, or PROCEDURE=spf-trim, subdomain-setup or dmarc-daily, against the rehearsal estate
	@$(BIN)/runbook rehearse $(PROCEDURE)

test: lint able ## format, lint, types, and all tests that this machine can run
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 20

lint: setup
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy

bench: setup rehearsal ## measure; prints tables of ratios
	@$(BIN)/python -m benchmarks.plan_time
	@$(BIN)/python -m benchmarks.dns_time
	@$(BIN)/python -m benchmarks.dmarc_differential
	@$(BIN)/python -m benchmarks.dmarc

faults: setup rehearsal ## the crash matrix: a run hit at every step by everything, about an hour and a half
	@$(BIN)/python tests/rehearsal/crash_matrix.py
	@RUNBOOK_CRASH_MAILS=2000 RUNBOOK_REHEARSAL=required $(BIN)/pytest tests/rehearsal/test_dmarc_crashes.py

setup: $(INSTALLED) ## the Python environment, from requirements.lock

$(INSTALLED): requirements.lock pyproject.toml
	@echo "setup: Python environment in $(VENV) (about 40 s)"
	@scripts/machine python "$(PYTHON)" "$(VENV)"
	@# pyspf comes as source only: it is built with the setuptools of the lock, not with one fetched without hashes. And
	@# Debian's pip takes half a minute longer for the rest than the one of the lock.
	@grep -A 2 -E '^(pip|setuptools)==' requirements.lock >$(VENV)/installers.lock
	@$(PIP) --require-hashes --requirement $(VENV)/installers.lock
	@$(PIP) --no-deps --no-build-isolation --require-hashes --requirement requirements.lock
	@PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/pip --disable-pip-version-check check >/dev/null || $(BIN)/pip check
	@# pip compiles on one processor. What cannot be compiled is meant for another Python; importing it would say so.
	@$(BIN)/python -W ignore -m compileall -qq -j 2 $(VENV)/lib $(PACKAGES) || true
	@touch $@

rehearsal: ## what the rehearsal estate needs: mmdebstrap, and its root file system in the cache
	@scripts/machine rehearsal

able:
	@scripts/machine rehearsal && scripts/machine browser || true

# For the oldest Python that will do: redis wants one package more before 3.11.3, and Debian 12 has 3.11.2.
lock: setup ## resolve requirements.lock anew
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev --upgrade pyproject.toml --output-file requirements.lock
	@echo 'parsedmarc==11.*' | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --upgrade - --output-file benchmarks/parsedmarc.lock

clean: ## remove the Python environment; reports, snapshots and waiting runs (var/) stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
