# `make demo` and `make test` need Python 3.11 and pip, nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.installed-run
DEV    := $(VENV)/.installed-dev
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
CLIENTS := .clients
NODE   := $(CLIENTS)/node_modules/.installed
GENERATORS := $(CLIENTS)/venv/.installed
PATHS  := $(wildcard app workers migrations sandbox tests benchmarks)

.DEFAULT_GOAL := help
.PHONY: help demo up test test-all check check-api check-clients lock bench clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

demo: $(RUN) ## Run Instep with a sandbox social network and a sample agency
	@exec env INSTEP_TIED=1 $(BIN)/instep demo $(ARGS)

up: $(RUN) ## Run Instep
	@exec env INSTEP_TIED=1 $(BIN)/instep up $(ARGS)

# Without bytecode each of the many processes that the tests start would compile all of the source anew.
test test-all: export PYTHONDONTWRITEBYTECODE =

test: $(DEV) ## Run the tests, against a real PostgreSQL and Valkey
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not long" $(ARGS)

test-all: $(DEV) ## Run all tests, also the long ones
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

check: $(DEV) ## Look at style, types, layers, locks, migrations' SQL and the container's files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PATHS)
	$(BIN)/lint-imports
	$(BIN)/python -m tests.shipping.locks
	$(BIN)/python -m tests.house.migrations_sql
	@if [ -f docker-compose.yml ]; then set -x; $(BIN)/docker-compose --env-file docker/check.env config --quiet; fi
	@if [ -f Dockerfile ]; then set -x; $(BIN)/hadolint Dockerfile; fi

check-api: $(DEV) $(NODE) ## Look at the OpenAPI document with Redocly and Spectral (needs Node)
	$(BIN)/python -m tests.clients document
	cd $(CLIENTS) && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		node_modules/.bin/redocly lint generated/openapi.json --config ../tests/clients/redocly.yaml
	cd $(CLIENTS) && node_modules/.bin/spectral lint generated/openapi.json \
		--ruleset ../tests/clients/spectral.yaml --fail-severity hint

check-clients: $(DEV) $(NODE) $(GENERATORS) ## Generate clients in Python and TypeScript, and run them (needs Node)
	$(BIN)/python -m tests.clients $(ARGS)

bench: $(DEV) ## Measure
	$(BIN)/python -m benchmarks $(ARGS)

# Locks name public hosts alone, whatever index this machine uses.
UV := env -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_FIND_LINKS -u PIP_CONFIG_FILE \
	-u UV_INDEX -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_CONFIG_FILE \
	UV_PYTHON_DOWNLOADS=never uv --no-config
EXPORT := $(UV) export --quiet --format requirements-txt --no-emit-project

lock: ## Renew the locks (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: see https://docs.astral.sh/uv/" >&2; exit 1; }
	$(UV) lock
	$(EXPORT) --no-dev --extra embedded --group build -o requirements.lock
	$(EXPORT) --no-dev -o requirements-image.lock
	$(EXPORT) --only-group build -o requirements-build.lock
	$(EXPORT) --extra embedded --group build --group dev -o requirements-dev.lock
	$(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --no-header \
		tests/clients/requirements.in -o tests/clients/requirements.lock

clean: ## Remove what was made here, except the data in .instep
	rm -rf $(VENV) $(CLIENTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Instep needs Python 3.11 or newer: install it (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Instep needs Python 3.11 or newer, $(PYTHON) is older; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing what requirements.lock names (half a minute the first time)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "installing what requirements-dev.lock names (a minute the first time)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(NODE): tests/clients/package.json tests/clients/package-lock.json
	@command -v npm >/dev/null || { echo "this needs Node 20.19 or newer, with npm: see https://nodejs.org" >&2; exit 1; }
	@mkdir -p $(CLIENTS)
	@cp tests/clients/package.json tests/clients/package-lock.json $(CLIENTS)
	@echo "installing what tests/clients/package-lock.json names (half a minute the first time)"
	@cd $(CLIENTS) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(GENERATORS): tests/clients/requirements.lock | $(BIN)/python
	@echo "installing what tests/clients/requirements.lock names (half a minute the first time)"
	@$(PYTHON) -m venv $(CLIENTS)/venv
	@$(CLIENTS)/venv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r tests/clients/requirements.lock
	@touch $@
