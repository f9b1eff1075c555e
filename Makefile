# `make run` and `make test` do all set-up; later calls install nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CHECK_PYTHON := $(PYTHON) deploy/check_python.py 'make PYTHON='
BROWSER := $(VENV)/.browser

.PHONY: help run verify test test-fast test-superset bench bi lint pins licences sbom audit check-deploy test-cluster cassettes screenshots docs reference clickhouse clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(INSTALLED)  ## load QTickets (or the demo, without a token) into ClickHouse, then build the marts
	@$(BIN)/python pipelines/qtickets.py $(ARGS)

verify: $(INSTALLED)  ## do a bootstrap, dry run, run, second run and check; write a report
	@$(BIN)/python pipelines/qtickets.py verify $(ARGS)

test: $(INSTALLED) $(BROWSER)  ## run all tests, on a real ClickHouse and a real HTTP service
	@$(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(ARGS)

test-fast: $(INSTALLED)  ## run the tests that start neither ClickHouse, dbt, a browser nor the command
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not slow" $(ARGS)

test-superset: $(INSTALLED) $(BROWSER) $(VENV)-superset/.installed  ## import bi/superset.zip into a real Superset; compare its numbers, take pictures
	@SUPERSET_VENV=$(VENV)-superset $(BIN)/python -m pytest tests/bi/real_superset.py $(ARGS)

$(VENV)-superset/.installed: deploy/requirements-superset.txt
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV)-superset
	@$(VENV)-superset/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

bi: $(INSTALLED)  ## write bi/datalens-workbook.json, bi/superset.zip, docs/measures.md and the page's explanations
	@$(BIN)/python -m bi datalens
	@$(BIN)/python -m bi superset
	@$(BIN)/python -m bi measures
	@$(BIN)/python -m bi page

bench: $(INSTALLED)  ## measure speed and memory, compared with other implementations
	@$(BIN)/python -m benchmarks $(ARGS)

lint: $(INSTALLED)  ## run ruff, mypy, oxlint and sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.lint_page
	@$(BIN)/sqlfluff lint dbt_project/models --processes 2 --disable-progress-bar

pins:  ## compile all requirements files from pyproject.toml, with hashes; needs uv
	@$(CHECK_PYTHON)
	@$(PYTHON) -m tools.pins

licences: $(INSTALLED) $(VENV)-check/.installed  ## write docs/licences.md from the metadata of the installed packages
	@printf '# Licences\n\n%s\n%s\n\n' 'Licences of all packages in `requirements.txt`, as their metadata' \
	  'declares them; `make licences` writes this file. The project itself is Apache-2.0.' > docs/licences.md
	@$(VENV)-check/bin/pip-licenses --python $(BIN)/python --from mixed --no-version --format markdown \
	  --partial-match --fail-on 'Affero' >> docs/licences.md

sbom: $(VENV)-check/.installed  ## write deploy/sbom.cdx.json, a CycloneDX list of the packages of a release
	@$(VENV)-check/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-file deploy/sbom.cdx.json deploy/requirements.txt

audit: $(VENV)-check/.installed  ## look up known vulnerabilities of the pinned packages; needs network
	@$(VENV)-check/bin/pip-audit --strict --no-deps --disable-pip --requirement requirements.txt

test-cluster: $(INSTALLED)  ## run tests/cluster on two replicas in Docker
	docker compose --file deploy/cluster/docker-compose.yml up --detach --wait
	QTICKETS_TEST_CLUSTER=127.0.0.1:18123:19000,127.0.0.1:28123:29000 \
	QTICKETS_TEST_CLUSTER_USER=qtickets QTICKETS_TEST_CLUSTER_PASSWORD=for-tests-only \
	QTICKETS_TEST_CLUSTER_CONTROL=deploy/cluster/control.sh \
	$(BIN)/python -m pytest tests/cluster $(ARGS)
	docker compose --file deploy/cluster/docker-compose.yml down --volumes

check-deploy: $(VENV)-check/.installed  ## run hadolint, docker compose, shellcheck, … on deploy/
	@deploy/check.sh $(VENV)-check/bin

$(VENV)-check/.installed: deploy/requirements-check.txt
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV)-check
	@$(VENV)-check/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

cassettes: $(INSTALLED)  ## record the answers in cassettes/ again, from the sandbox
	@$(BIN)/python -m tools.recording

screenshots: $(INSTALLED) $(BROWSER)  ## take the screenshots in docs/images again
	@$(BIN)/python -m tools.screenshots

docs: $(INSTALLED)  ## open the documentation of the marts, with the lineage, in the browser
	@$(BIN)/python pipelines/qtickets.py docs $(ARGS)

reference: $(INSTALLED)  ## write docs/commands.md, configuration.md and questions.md
	@$(BIN)/python -m tools.reference
	@$(BIN)/python -m tools.questions

clickhouse: $(INSTALLED)  ## run the embedded ClickHouse in the foreground, for SQL and BI tools
	@$(BIN)/python -m local_clickhouse

$(INSTALLED): requirements.txt
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Creating the virtual environment failed. On Debian or Ubuntu: sudo apt install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "Installing the pinned packages into $(VENV) (once, about a minute)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement requirements.txt
	@touch $@

# If Chromium cannot be installed, the tests of the page fail and say so.
$(BROWSER): $(INSTALLED)
	@$(BIN)/python -m tools.browser && touch $@ || true

clean:  ## remove the virtual environments; data in .qtickets is kept
	rm -rf $(VENV) $(VENV)-check $(VENV)-superset
