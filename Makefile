# Two commands matter: `make demo` shows the product, `make test` proves it. Both need Python, make and the registries.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SYSTEM_PYTHON ?= python3
VENV ?= .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PINS := requirements/dev.txt
FUZZ_SECONDS ?= 60
BENCH ?=
DUEL ?=
PROVE ?=
CLUSTER ?=
SEEDS ?= 0-999
OPEN ?=
MUTATE ?=
ENVIRONMENT := $(SYSTEM_PYTHON) tools/environment.py
COMPILE := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.10 --quiet

define CHECK_PYTHON
@$(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "tap-exports needs Python 3.10 or newer as $(SYSTEM_PYTHON); set SYSTEM_PYTHON=/path/to/python3" >&2; exit 1; }
@$(SYSTEM_PYTHON) -c 'import ensurepip, venv' || \
	  { echo "$(SYSTEM_PYTHON) cannot make environments; install its venv package (Debian: python3-venv)" >&2; exit 1; }
endef

.PHONY: help setup test check lint types floors deps shape docs workflows unit inner coverage lowest newest fuzz crash killed meltano soak simulate prove duel cluster bench nginx postgres demo fmt pins build clean

help: ## Show the targets
	@grep -hE '^[a-z]+( [a-z]+)*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z ]+):.*## /\1\t/' | expand -t 15

setup: $(STAMP) ## Create .venv with the pinned tools and this project

$(STAMP): $(PINS) pyproject.toml tools/environment.py
	$(CHECK_PYTHON)
	$(ENVIRONMENT) --editable . $(VENV) $(PINS)
	@touch $@

test: lint types floors deps shape docs workflows unit ## Run everything that .ci/run runs

check: lint types floors inner ## What to run while working, in less than a minute

lint: setup ## Formatting and lint rules
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types: setup ## Static types
	$(PYTHON) -m mypy

floors: setup ## The floors of docs/architecture.md
	$(VENV)/bin/lint-imports

deps: setup ## Imported equals declared
	$(VENV)/bin/deptry .

shape: setup ## Lengths of functions and modules, words that do not belong
	$(PYTHON) tools/measure.py

docs: setup ## Links of the documents, and their generated parts
	$(PYTHON) tools/generate.py --check
	$(PYTHON) tools/links.py

workflows: setup ## Workflow files, offline
	$(VENV)/bin/zizmor --offline --no-progress --persona pedantic .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

unit: setup postgres ## The tests
	$(PYTHON) -m pytest --numprocesses=auto --dist=worksteal

inner: setup ## The tests that start no process
	$(PYTHON) -m pytest --numprocesses=logical --dist=worksteal -m "not process"

coverage: setup postgres ## The tests with branch coverage, the taps that they start included
	$(PYTHON) -m pytest --numprocesses=auto --dist=worksteal --cov --cov-report=term

lowest: RESOLUTION := lowest-direct
lowest newest: postgres ## The tests with the lowest or the newest versions that pyproject.toml allows
	$(ENVIRONMENT) $(VENV)-pins requirements/pins.txt
	$(VENV)-pins/bin/uv pip compile --quiet --generate-hashes --python $(SYSTEM_PYTHON) --resolution $(or $(RESOLUTION),highest) \
	  --all-extras --group build --group test --output-file $(VENV)-pins/$@.txt pyproject.toml
	$(ENVIRONMENT) --editable . $(VENV)-$@ $(VENV)-pins/$@.txt
	$(VENV)-$@/bin/python -m pytest --numprocesses=auto

fuzz: setup ## Fuzz the readers, FUZZ_SECONDS=60 each; needs Linux and Python 3.11 to 3.13
	$(ENVIRONMENT) --add $(VENV) requirements/fuzz.txt
	$(PYTHON) -m tools.fuzz --seconds $(FUZZ_SECONDS)

postgres: ## PostgreSQL's server binaries, for the loader's test
	@tools/ensure-postgres.sh

nginx: ## The file server of `make bench`
	@test -x /usr/sbin/nginx || command -v nginx >/dev/null || bench/ensure-nginx.sh

demo: ## The main job end to end, twice, counted
	$(CHECK_PYTHON)
	@$(SYSTEM_PYTHON) -m tools.demo

crash: setup ## Every crash point at every provider, in every way
	$(PYTHON) -m tools.crash

killed: setup postgres ## The tap killed together with real loaders, and the own loader at each of its statements
	$(PYTHON) -m tools.killed
	$(PYTHON) -m tests.loaders.killed

meltano: setup ## All commands of the plugin under a real Meltano; the suite runs two of them
	MELTANO_COMMANDS=all $(PYTHON) -m pytest tests/loaders/test_meltano_commands.py

soak: setup ## Thousands of jobs with one request in twenty going wrong
	$(PYTHON) -m tools.soak

simulate: setup ## Drawn histories of a simulated world, SEEDS=0-999; OPEN=1 with what is known to be open; MUTATE=key-by-job
	$(PYTHON) -m tests.simulation --seeds $(SEEDS) $(if $(OPEN),--open) $(if $(MUTATE),--mutate $(MUTATE))

prove: setup ## Faults and crashes for every shipped declaration, into docs/declare.md; PROVE="stripe zuora" for some
	$(PYTHON) -m tools.prove $(PROVE)

duel: setup ## The same cases for other tools, into docs/duel.md; DUEL="--only dlt" for one
	@for part in bench-airbyte duel-dlt duel-singer; do \
	  test .venv-$$part/.installed -nt requirements/$$part.txt && continue; \
	  $(ENVIRONMENT) .venv-$$part requirements/$$part.txt; \
	  touch .venv-$$part/.installed; \
	done
	$(PYTHON) -m bench.duel $(DUEL)

cluster: postgres ## A cluster's life and death: Dask, Ray, pools, an S3 server; CLUSTER="--only killed tls"
	$(CHECK_PYTHON)
	@test .venv-cluster/.installed -nt requirements/cluster.txt || $(ENVIRONMENT) --editable . .venv-cluster requirements/cluster.txt
	@touch .venv-cluster/.installed
	.venv-cluster/bin/python -m tools.cluster $(CLUSTER)

bench: postgres nginx ## Figures against peers, into docs/performance.md; BENCH="--only records", BENCH=--quick
	@for part in bench bench-airbyte bench-targets; do \
	  test .venv-$$part/.installed -nt requirements/$$part.txt && continue; \
	  project=; test $$part != bench || project="--editable ."; \
	  $(ENVIRONMENT) $$project .venv-$$part requirements/$$part.txt; \
	  touch .venv-$$part/.installed; \
	done
	@test .venv-bench-tap/.installed -nt requirements/tap.txt || { \
	  $(ENVIRONMENT) .venv-bench-tap requirements/build.txt && \
	  $(ENVIRONMENT) --add --editable . .venv-bench-tap requirements/tap.txt && touch .venv-bench-tap/.installed; }
	.venv-bench/bin/python -m bench $(BENCH)

fmt: setup ## Format, and mend what can be mended
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

pins: ## Renew the pins from pyproject.toml
	$(ENVIRONMENT) $(VENV)-pins requirements/pins.txt
	$(VENV)-pins/bin/$(COMPILE) --upgrade pyproject.toml --extra duckdb --group dev --output-file $(PINS)
	$(VENV)-pins/bin/$(COMPILE) --upgrade pyproject.toml --extra duckdb --constraint $(PINS) --output-file requirements/tap.txt
	$(VENV)-pins/bin/$(COMPILE) --upgrade --group build --constraint $(PINS) --output-file requirements/build.txt
	for name in meltano target-postgres; do \
	  $(VENV)-pins/bin/$(COMPILE) --upgrade tools/demo/$$name.in --output-file tools/demo/$$name.txt; \
	done
	$(VENV)-pins/bin/$(COMPILE) --upgrade --group pins --output-file requirements/pins.txt
	$(VENV)-pins/bin/$(COMPILE) --upgrade --group pips --output-file tests/setup/pips/newest.txt
	$(VENV)-pins/bin/$(COMPILE:3.10=3.11) --upgrade pyproject.toml --group cluster --constraint $(PINS) --output-file requirements/cluster.txt
	$(VENV)-pins/bin/$(COMPILE:3.10=3.11) --upgrade pyproject.toml --group bench --output-file requirements/bench.txt
	$(VENV)-pins/bin/$(COMPILE:3.10=3.11) --upgrade --group airbyte --output-file requirements/bench-airbyte.txt
	$(VENV)-pins/bin/$(COMPILE:3.10=3.11) --upgrade --group targets --output-file requirements/bench-targets.txt
	$(VENV)-pins/bin/$(COMPILE:3.10=3.11) --upgrade --group duel-dlt --output-file requirements/duel-dlt.txt
	$(VENV)-pins/bin/$(COMPILE:3.10=3.11) --upgrade --group duel-singer --constraint $(PINS) --output-file requirements/duel-singer.txt

build: setup ## Wheel and sdist into dist/
	rm -rf dist
	$(PYTHON) -m hatchling build

clean: ## Remove what these targets made
	rm -rf $(VENV) $(VENV)-pins $(VENV)-lowest $(VENV)-newest .venv-cluster .venv-bench .venv-bench-* .venv-duel-* .bench .demo .fuzz .meltano .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	find bench tap_exports target_exports tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
