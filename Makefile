# `make run` and `make test` do all set-up; a second call installs nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CHECK_PYTHON := $(PYTHON) deploy/check_python.py 'make PYTHON='
BROWSER := $(VENV)/.browser

.PHONY: help run verify test bench lint pins licences audit check-deploy cassettes screenshots docs reference clickhouse clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(INSTALLED)  ## one run: QTickets (or the demo, without a token) into ClickHouse, then the marts
	@$(BIN)/python pipelines/qtickets.py $(ARGS)

verify: $(INSTALLED)  ## bootstrap, dry run, run, repeat and check, with a report in QTICKETS_HOME
	@$(BIN)/python pipelines/qtickets.py verify $(ARGS)

test: $(INSTALLED) $(BROWSER)  ## the whole test suite, on a real ClickHouse and a real HTTP service
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(INSTALLED)  ## how fast it is, beside other ways of doing the same; ARGS='--scale 0.1' for less
	@$(BIN)/python -m benchmarks $(ARGS)

lint: $(INSTALLED)  ## ruff, mypy, oxlint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.lint_page

pins:  ## compile all requirements files from pyproject.toml, with hashes; needs uv
	@$(CHECK_PYTHON)
	@$(PYTHON) -m tools.pins

licences: $(INSTALLED)  ## write docs/licences.md from what the installed packages say
	@$(BIN)/python deploy/licences.py

audit: $(VENV)-check/.installed  ## known vulnerabilities of the pinned packages; asks PyPI's database
	@$(VENV)-check/bin/pip-audit --strict --no-deps --disable-pip --requirement requirements.txt

check-deploy: $(VENV)-check/.installed  ## hadolint, docker compose, shellcheck, … on deploy/
	@deploy/check.sh $(VENV)-check/bin

$(VENV)-check/.installed: deploy/requirements-check.txt
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV)-check
	@$(VENV)-check/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

cassettes: $(INSTALLED)  ## record the answers in cassettes/ anew, from the sandbox
	@$(BIN)/python -m tests.recording

screenshots: $(INSTALLED) $(BROWSER)  ## the pictures of the page in docs/images anew
	@$(BIN)/python -m tests.screenshots

docs: $(INSTALLED)  ## the documentation of the marts with its lineage, as one file, in the browser
	@$(BIN)/python pipelines/qtickets.py docs $(ARGS)

reference: $(INSTALLED)  ## write docs/commands.md and docs/configuration.md from the code
	@$(BIN)/python -m tools.reference

clickhouse: $(INSTALLED)  ## the embedded ClickHouse in the foreground, for SQL and BI tools
	@$(BIN)/python -m local_clickhouse

$(INSTALLED): requirements.txt
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Making the virtual environment failed. On Debian or Ubuntu: sudo apt install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "Installing the pinned packages into $(VENV) (once, about a minute)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement requirements.txt
	@touch $@

# Tests of the page say what is missing where no Chromium can be had.
$(BROWSER): $(INSTALLED)
	@$(BIN)/python -m tests.browser && touch $@ || true

clean:  ## remove the virtual environment; data in .qtickets stay
	rm -rf $(VENV) $(VENV)-check
