# Everything that is typed here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
LOCKED := requirements-dev.lock
PY := $(VENV)/bin/python
# The interpreter that makes the virtual environment: the first of these that is new enough.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)
# Options for pytest, for example PYTEST='-k first_push'. An `up` is mostly waiting, so several files run at once. The
# tests of the notebooks share one Spark, which takes all processors: they come by themselves, with their coverage.
PYTEST ?= -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/notebooks
# More options for the benchmark, for example BENCH=--quick or BENCH='--sizes 500 --runs 5'.
BENCH ?=
UV_VERSION := 0.13.9
# More options for uv, for example LOCK=--upgrade for the newest versions.
LOCK ?=

# What `make unit` runs beside the tests of the notebooks, of whose package it wants to see so many percent of the
# branches, and where it writes its results, in the formats that pipelines publish.
UNIT ?= tests/components $(wildcard tests/delivery) $(wildcard tests/test_*.py)
COVERAGE ?= 95
RESULTS ?= build/results

.PHONY: help venv toolchain doctor rehearsal rehearsal-azure tour rehearsal-env rehearsal-down rehearsal-clean \
	rehearsal-reset check format unit test test-fresh faults bench lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Made once for each lock and each Python, where all checkouts find it again; `.venv` leads there. To standard error
# throughout: `make -s rehearsal-env` prints lines for eval, and nothing else.
venv: ## virtual environment with exactly the locked packages
	@cmp -s $(LOCKED) $(VENV)/.complete || { \
		[ -n "$(PYTHON)" ] || { echo 'error: Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python'; exit 1; }; \
		[ -L $(VENV) ] || [ ! -e $(VENV) ] || { echo 'error: $(VENV) is a folder, and not what this makes: rm -r $(VENV)'; exit 1; }; \
		"$(PYTHON)" -B -m delivery venv --lock $(LOCKED); } >&2

toolchain: venv ## a working Pulumi engine: found, downloaded or built
	@$(PY) -m rehearsal toolchain

doctor: venv ## what is used, which version, where from
	@$(PY) -m rehearsal doctor

rehearsal: venv ## the whole system on this machine, without any account
	@$(PY) -m rehearsal up

rehearsal-azure: venv ## the same with Azure: service connections that pipelines sign in with
	@$(PY) -m rehearsal up --azure

rehearsal-env: venv ## eval "$(make -s rehearsal-env)": plain pulumi and git work with the rehearsal
	@$(PY) -m rehearsal env

tour: venv toolchain ## from a changed notebook to production and back, by itself, saying what it does
	@$(PY) -m rehearsal tour

rehearsal-down: venv ## end the stand-ins; they keep what they hold
	@$(PY) -m rehearsal down

rehearsal-reset: venv ## the stand-ins as on their first day, and no stacks
	@$(PY) -m rehearsal reset

rehearsal-clean: venv ## end the rehearsal and remove everything it made
	@$(PY) -m rehearsal clean

check: export MYPY_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/databricks-cicd/mypy
check: venv ## style, types and the schemas of YAML files
	@echo 'ruff' && $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@echo 'mypy' && $(VENV)/bin/mypy
	@echo 'databricks-labs-pylint' && $(VENV)/bin/pylint notebooks tests/release/{arrivals,functional,integration,performance}.py
	@echo 'yamllint' && $(VENV)/bin/yamllint --strict .
	@shopt -s nullglob; files=(pipelines/*.yml pipelines/templates/*.yml); echo "check-jsonschema: $${#files[@]} pipelines"; \
	[ $${#files[@]} -eq 0 ] || $(VENV)/bin/check-jsonschema --builtin-schema vendor.azure-pipelines \
		--data-transform azure-pipelines --regex-variant nonunicode "$${files[@]}"

format: venv ## write the code in the style that `check` wants
	@$(VENV)/bin/ruff check --fix . && $(VENV)/bin/ruff format .

# Both, whichever fails: the pipeline publishes the results of both.
unit: venv ## the tests of the program, of the commands and of the notebooks: what the build pipeline runs
	@mkdir -p "$(RESULTS)"
	@failed=; \
	$(PY) -m pytest -m 'not slow' -n 2 --dist loadfile $(UNIT) --junitxml="$(RESULTS)/unit-program.xml" || failed=1; \
	$(PY) -m pytest -m 'not slow' tests/notebooks --junitxml="$(RESULTS)/unit-notebooks.xml" \
		--cov --cov-report=term --cov-report=xml:"$(RESULTS)/coverage.xml" || failed=1; \
	$(PY) -m tests.branch_coverage "$(RESULTS)/coverage.xml" $(COVERAGE) || failed=1; \
	[ -z "$$failed" ]

test: check toolchain ## check, then all tests but the slow ones, and the coverage of the notebooks' package
	@$(PY) -m pytest -m 'not slow' $(PYTEST)
ifeq ($(origin PYTEST),file)
	@$(PY) -m pytest tests/notebooks --cov --cov-report=term --cov-report=xml:"$(RESULTS)/coverage.xml"
	@$(PY) -m tests.branch_coverage "$(RESULTS)/coverage.xml" $(COVERAGE)
endif

test-fresh: venv ## `make rehearsal` in a clone on a machine without pulumi, Go, caches: ten minutes or more
	@PYTHON="$$($(PY) -c 'import sys; print(sys._base_executable)')" tests/fresh_machine.sh

faults: venv toolchain ## what `test` leaves out, and a fault at every request of both `up`s, one at a time: hours
	@echo 'deployments killed at every step, and a thousand changed notebooks' && $(PY) -m pytest -vv -m slow -n 3 tests/engine
	@echo 'planted defects, on Spark' && $(PY) -m pytest -vv -m slow --ignore tests/engine
	@echo 'a fault at every request' && $(PY) -m tests.engine.faults

bench: venv toolchain ## what it costs, engine, notebooks, loop: an hour and more; BENCH=--quick for less
	@$(PY) -m benchmarks $(BENCH)

lock: venv ## pin what requirements*.in ask for, with hashes; LOCK=--upgrade renews all
	@$(PY) -m venv build/lock && build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@for name in requirements requirements-dev rehearsal/azure/azure-cli; do echo "$$name.lock"; \
	build/lock/bin/uv pip compile --quiet $(LOCK) --no-strip-extras --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --output-file "$$name.lock" "$$name.in"; done
