# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo serve test test-aws lint check format infra lock bench test-matrix clean actions upgrades

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(READY)  ## the whole story on an embedded PostgreSQL 18; leaves its files in demo-run/
	$(BIN)/holdfast demo demo-run

serve: $(READY)  ## the schedule and the API on this machine, for the holdfast.toml that is found from here
	$(BIN)/holdfast serve

test: $(READY)  ## the tests, on a real PostgreSQL 18 from a wheel
	$(BIN)/coverage erase
	$(BIN)/pytest -n auto --dist loadgroup --cov --cov-report=
	$(BIN)/coverage report

test-aws: $(READY)  ## the adapters on a real account or S3; tests/contract/adapters.py says how
	HOLDFAST_TEST_AWS_REAL=1 $(BIN)/pytest -q tests/contract -k aws

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## everything that CI holds the code to

infra: infra/template.json  ## the template that Chalice merges, from the one that people read

infra/template.json: infra/template.yaml infra/compile.py $(READY)
	$(BIN)/python infra/compile.py

actions: $(READY)  ## the packaged list of AWS's actions, from the library that is installed
	$(BIN)/python infra/actions.py

upgrades: $(READY)  ## the packaged facts of PostgreSQL 13 to 18, from servers that tests/matrix.sh fetched
	$(BIN)/python infra/upgrades.py

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(READY)  ## ratios, side by side in one run
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python tests/bench/snapshots.py
	$(BIN)/python tests/bench/packets.py
	$(BIN)/python tests/bench/api.py
	$(BIN)/python tests/bench/broker.py
	$(BIN)/python tests/bench/masking.py
	$(BIN)/python tests/bench/accounts.py
	$(BIN)/python tests/bench/reach.py
	$(BIN)/python tests/bench/effective.py
	$(BIN)/python tests/bench/reports.py

test-matrix: $(READY)  ## the database tests on PostgreSQL 13 to 18; needs npm
	tests/matrix.sh

LOCK := --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-header --allow-unsafe --no-config

lock: $(READY)  ## pin the dependencies anew, with hashes
	$(BIN)/pip-compile $(LOCK) --upgrade --extra aws -o requirements.txt pyproject.toml
	$(BIN)/pip-compile $(LOCK) --upgrade -o requirements-dev.txt requirements-dev.in

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Holdfast needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:  ## remove what was made
	rm -rf $(VENV) demo-run .pg-matrix .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
