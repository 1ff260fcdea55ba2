# `make help` lists what can be done. Needs a Python 3.11 or newer as PYTHON, and nothing else that is not fetched.
PYTHON ?= python3
VENV ?= .venv
DATA ?= data
PORT ?= 8000
TEST_PROCESSES ?= 2
ARGS ?=

BIN := $(VENV)/bin
# Tests of real clients look for uv on PATH.
export PATH := $(abspath $(BIN)):$(PATH)
# Checks that need settings and no data: nothing of a running installation is read or written.
PRODUCTION := PKGINDEX_DATA=$(VENV)/no-data DATABASE_URL=sqlite://:memory: ALLOWED_HOSTS=example.org HTTPS_ONLY=true \
  SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(48))')

.DEFAULT_GOAL := help
.PHONY: help up venv test proof lint lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV) DATA=$(DATA) PORT=$(PORT) ARGS=(more for pytest, or for `up`)"

up: $(VENV)/base.stamp ## Install if needed, then run everything on this machine until Ctrl-C
	@exec $(BIN)/python manage.py up --data $(DATA) --port $(PORT) --nodes 2 $(ARGS)

venv: $(VENV)/dev.stamp ## Make the virtual environment with everything for development

test: $(VENV)/dev.stamp ## Run every test except the long proofs, in random order
	@$(BIN)/python -m tests.standalone throttling -n $(TEST_PROCESSES) --dist loadfile -m "not proof"
	@$(BIN)/python -m tests.standalone balancing -n $(TEST_PROCESSES) --dist loadfile -m "not proof"
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile -m "not proof" $(ARGS)

proof: $(VENV)/dev.stamp ## Run the proofs that take minutes
	@$(BIN)/python -m tests.standalone throttling -m proof
	@$(BIN)/python -m tests.standalone balancing -m proof
	@$(BIN)/python -m pytest -m proof $(ARGS)

lint: $(VENV)/dev.stamp ## Check style, types, imports, migrations and production settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	DJANGO_SETTINGS_MODULE=pkgindex.settings $(BIN)/mypy pkgindex
	DJANGO_SETTINGS_MODULE=tests.standalone.throttling_settings $(BIN)/mypy throttling
	DJANGO_SETTINGS_MODULE=tests.standalone.balancing_settings $(BIN)/mypy balancing
	$(BIN)/lint-imports
	@echo "manage.py makemigrations --check"
	@$(PRODUCTION) $(BIN)/python manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy"
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

lock: $(VENV)/dev.stamp ## Resolve the dependencies of pyproject.toml anew into requirements/*.lock
	$(BIN)/uv pip compile $(COMPILE) -o requirements/base.lock
	$(BIN)/uv pip compile $(COMPILE) --group test --group lint -c requirements/base.lock -o requirements/dev.lock

COMPILE := pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command "make lock"

clean: ## Remove the virtual environment and caches; data stays
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "pkgindex needs Python 3.11 or newer; " + sys.executable + " is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# A stamp is written only after an install that succeeded, so an interrupted one is done again.
$(VENV)/%.stamp: requirements/%.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
