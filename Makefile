# One entry for people and for CI. Needs Linux, Python 3.11 or newer and GNU make 3.81 or newer; no Docker, no AWS account.

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON  ?= python3
WORKERS ?= logical
ENV     ?= default
LAMBDA_PYTHON := $(shell sed -n 's/^    Runtime: //p' template.yaml)
PARAMETERS ?=
UPGRADE ?=

VENV := .venv
BIN  := $(VENV)/bin

# The tools that tools start (SAM runs uv, mypy's and SAM's entry points) are this environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0
# Byte code is cached as it is needed: 4 s to install instead of 14 s, and only what is imported is compiled.
unexport PYTHONDONTWRITEBYTECODE

# Another environment's Python is none of ours. Of the settings of pip and uv, those hold that say how packages are
# reached, and none that say where they go: the user's names are filtered by these words.
REACHING := INDEX FIND_LINKS CERT TLS HOST PROXY KEYRING CONFIG CACHE TIMEOUT RETRIES HTTP OFFLINE MIRROR DOWNLOAD
unexport PYTHONHOME PYTHONPATH PYTHONUTF8 PYTHONCOERCECLOCALE $(foreach name,$(filter PIP_% UV_%,$(.VARIABLES)),\
	$(if $(strip $(foreach word,$(REACHING),$(findstring $(word),$(name)))),,$(name)))
export PIP_USER := 0
# Copies work wherever uv's cache is; its hard links across file systems warn.
export UV_LINK_MODE := copy

PYTEST := $(BIN)/python -m pytest


##@ Get started

.PHONY: help
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n%s\n' "$(BIN)/onboarding --help lists the commands for a running stack, here or on AWS."

.PHONY: setup
setup: $(VENV)/.ready $(BIN)/onboarding ## Make the development environment, .venv (every other command does this first)

$(VENV)/.ready: requirements-dev.txt
	@test "$$(uname -s)" = Linux || { echo >&2 \
		"Linux is needed, as AWS's client for Lambda's runtime is: use a Linux container or virtual machine."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
		"Python 3.11 or newer is needed, and $(PYTHON) is not. Try: make $(MAKECMDGOALS) PYTHON=python3.14"; exit 1; }
	@echo "Setting up $(VENV) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@# uv's own pin, with its hashes, is the block that starts with its name.
	@sed -n '/^uv==/,/[^\\]$$/p' $< > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $<
	@# The project, and its functions as in Lambda, seen from the environment's site-packages.
	@for packages in $(VENV)/lib/python*/site-packages; do \
		printf '%s\n' ../../../.. ../../../../functions > $$packages/customer-onboarding.pth; done
	@touch $@

# The command line. It can be run from any folder; -I ignores another environment's variables for Python.
$(BIN)/onboarding: $(VENV)/.ready Makefile
	@printf '#!/bin/sh\nexec "$${0%%/*}/python" -Im cli "$$@"\n' > $@
	@chmod +x $@

.PHONY: demo
demo: setup ## Start AWS on this machine, deploy, onboard sample customers, stop
	@$(BIN)/onboarding demo

.PHONY: up
up: setup ## Start AWS on this machine and deploy; after an edit, deploy what has changed
	@$(BIN)/onboarding up

.PHONY: down
down: setup ## Stop what `make up` started
	@$(BIN)/onboarding down

.PHONY: console
console: .local/console/.ready ## Show the running stack in the browser: executions, queues, tables, logs
	@$(BIN)/onboarding console

# A tool whose packages don't fit beside the others has an environment of its own. `uv run` would not check the hashes.
.local/%/.ready: requirements-%.txt | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip sync --quiet --python $(@D) --require-hashes $<
	@touch $@

ID :=
.PHONY: logs
logs: setup ## Follow the functions' logs (ID=… for one customer)
	@$(BIN)/onboarding logs $(ID)


##@ Check

.PHONY: test
test: setup ## Run every check and every test
	$(PYTEST) --numprocesses=$(WORKERS) --dist=loadgroup

# The template's static checks take as long as all the others, and are left out while it is as committed.
TEMPLATE_CHANGED = $(shell git status --porcelain template.yaml .checkov.yaml requirements-scan.txt || echo unknown)
.PHONY: quick
quick: setup ## Run the quick checks and tests, without the emulator
	$(PYTEST) --numprocesses=$(WORKERS) --dist=loadgroup -m "not slow" \
		$(if $(TEMPLATE_CHANGED),,-k "not lint-template and not lint-policies") tests/project tests/unit tests/wiring

SECONDS := 60
SEED :=
.PHONY: explore
explore: setup ## Try random histories of customers (SECONDS=60; SEED=… repeats a run)
	@$(BIN)/python -m tests.histories $(SECONDS) $(SEED)

.PHONY: lint
lint: lint-style lint-format lint-types lint-layers lint-workflows lint-template lint-policies ## Run the static checks

# Each is a test too (tests/project/test_static_checks.py), so that `make test` runs them side by side.
.PHONY: lint-style lint-format lint-types lint-layers lint-workflows lint-template lint-policies
lint-style: setup
	@$(BIN)/ruff check
lint-format: setup
	@$(BIN)/ruff format --check
lint-types: setup
	@$(BIN)/mypy
lint-layers: setup
	@$(BIN)/lint-imports --no-logo
lint-workflows: setup
	@# Without shellcheck, which some machines have and others don't.
	@$(BIN)/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml
	@$(BIN)/zizmor --offline --quiet .github
lint-template: setup
	@$(BIN)/python -m cli.machine.sam validate --lint
lint-policies: .local/scan/.ready
	@# Without this variable, checkov passes a template that it can't parse.
	@CKV_PARSE_ERROR_FAIL=true .local/scan/bin/checkov --config-file .checkov.yaml

# Asks PyPI's database of vulnerabilities: what is known changes without a change here, so it is no test.
.PHONY: audit
audit: setup ## Look for known vulnerabilities in the pinned packages
	@for requirements in functions/requirements.txt $(wildcard requirements-*.txt); do \
		$(BIN)/uvx --quiet pip-audit --disable-pip --require-hashes --requirement $$requirements || exit 1; done

AGAINST ?= HEAD
.PHONY: contracts
contracts: setup ## Compare the events' contracts with those of a Git revision (AGAINST=…)
	@$(BIN)/python -m cli.documents.compatibility $(AGAINST)

.PHONY: format
format: setup ## Format the code, and fix what ruff can fix
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

.PHONY: bench
bench: setup ## Measure cold starts and the package
	@$(BIN)/python -m benchmarks

.PHONY: waits
waits: setup ## Compare onboardings with and without a confirmation, and have 200 customers wait at once
	@$(BIN)/python -m benchmarks.confirmation

.PHONY: outages
outages: setup ## Simulate outages: which share of executions would need an operator
	@$(BIN)/python -m benchmarks.outages


##@ Generate

.PHONY: docs
docs: setup ## Write every file that is generated from the code
	@$(BIN)/python -m cli.documents.generate

.PHONY: pictures
pictures: .local/console/.ready ## Take the docs' pictures of the console and of a trace again, with Chromium
	@$(BIN)/python -m cli.documents.pictures

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" $(UPGRADE)

# What develops the project includes what its functions run on; these are then held to the same versions.
.PHONY: requirements
requirements: setup ## Pin the requirements again (UPGRADE=--upgrade for the newest)
	$(COMPILE) requirements-dev.in --output-file requirements-dev.txt
	$(COMPILE) functions/requirements.in --constraint requirements-dev.txt --output-file functions/requirements.txt
	$(COMPILE) requirements-scan.in --output-file requirements-scan.txt
	$(COMPILE) requirements-console.in --output-file requirements-console.txt
	$(COMPILE) requirements-rehearsal.in --output-file requirements-rehearsal.txt


##@ Deploy to AWS

.PHONY: rehearse
rehearse: setup ## Walk the workflows on AWS's own engine, without a deployment (needs states:TestState)
	@$(BIN)/python -m tests.rehearsal

.PHONY: build
build: setup ## Build the functions for Lambda, with byte code if Lambda's Python can be had
	$(BIN)/sam build
	@# Lambda can't write to a function's folder: what comes without byte code is compiled at each cold start.
	@# uv finds that Python on the machine, or fetches it. The paths in byte code are relative, so any checkout gives the
	@# same package.
	@$(BIN)/uv run --quiet --no-project --python $(LAMBDA_PYTHON) \
		python -m compileall -q --invalidation-mode unchecked-hash .aws-sam/build/*/ \
		|| echo "WARNING: the package has no byte code: each cold start takes more CPU time (see make bench)"

.PHONY: deploy
deploy: build ## Build, and deploy to AWS (PARAMETERS="NAME=VALUE …", ENV=dev or prod)
	@$(BIN)/onboarding deploy --env $(ENV) $(PARAMETERS)
