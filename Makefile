PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := services shared deploy tests setup.py
# A wheel of the sources with compiled modules. An edit makes it anew: the checkout itself is never compiled.
COMPILED := $(VENV)/compiled
# Imports Andon from there, and only tests from the checkout.
RUN_COMPILED := PYTHONSAFEPATH=1 PYTHONPATH=$(COMPILED):. $(BIN)/python
# Real event logs and the container engine of the test machine; tests skip what is missing there.
ANDON_TEST_DATA ?= ../shared
export ANDON_TEST_DATA
# Where the contracts of the version in pyproject.toml are kept at its release.
RELEASED = docs/schemas/released/$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Keep compiled modules whatever the shell says: tests start many processes, and each would compile all of Andon anew.
export PYTHONDONTWRITEBYTECODE :=
# Many tests wait for servers, so two more run than there are processors. With three more the run took no less time.
WORKERS = $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 2)")

.DEFAULT_GOAL := help
.PHONY: help demo clean-demo unit test proofs pictures coverage compile test-compiled test-containers test-kubernetes check format docs site release audit contracts release-contracts lock bench simulate-signals simulate-verification chaos soak fuzz clean panels dashboards alerts canary

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python requirements/install.py requirements/demo.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(VENV)/.demo ## run everything on this machine, with a simulated CRM
	@$(BIN)/andon demo

clean-demo: $(VENV)/.demo ## remove the data of the demo
	@$(BIN)/andon demo --clean

$(VENV)/.dev: requirements/dev.txt pyproject.toml tests/support/oidc_provider/package-lock.json tests/support/contract_tools/package-lock.json
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python requirements/install.py requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(VENV)/oidc && cp tests/support/oidc_provider/* $(VENV)/oidc; \
	(cd $(VENV)/oidc && npm ci --silent --no-audit --no-fund) \
		|| echo "npm cannot install the OpenID provider: the tests of sign-in there are skipped"
	@mkdir -p $(VENV)/contract-tools && cp tests/support/contract_tools/* $(VENV)/contract-tools; \
	(cd $(VENV)/contract-tools && npm ci --silent --no-audit --no-fund --ignore-scripts) \
		|| echo "npm cannot install the tools of AsyncAPI: their tests are skipped"
	touch $@ $(VENV)/.demo

# Compares descriptions of the API. Its first build takes minutes, so only `make contracts` asks for it.
$(VENV)/contract-tools/oasdiff: tests/support/oasdiff/go.mod tests/support/oasdiff/go.sum
	@(cd tests/support/oasdiff && go build -o $(abspath $@) github.com/oasdiff/oasdiff) \
		|| echo "oasdiff cannot be built: the comparison of the API is skipped"

# Helm, the programs of Kubernetes and the schemas of its versions, beside the other downloads: the first build takes ten
# minutes of a processor.
KUBERNETES := $(HOME)/.cache/andon/kubernetes-1.36.3
HELM := v3.22.0
# Charts ask the server for its version, which is not in its source.
STAMP := -X k8s.io/component-base/version.gitVersion=v1.36.3
$(KUBERNETES)/.built: tests/support/kubernetes/go.mod tests/support/kubernetes/go.sum requirements/kubernetes.txt
	mkdir -p $(KUBERNETES)
	GOBIN=$(KUBERNETES) go install helm.sh/helm/v3/cmd/helm@$(HELM)
	cd tests/support/kubernetes && go build -o $(KUBERNETES)/etcd go.etcd.io/etcd/server/v3 \
		&& go build -ldflags "$(STAMP)" -o $(KUBERNETES)/ $(addprefix k8s.io/kubernetes/cmd/,kube-apiserver kube-controller-manager kubectl)
	test -x $(KUBERNETES)/python/bin/python || $(PYTHON) -m venv $(KUBERNETES)/python
	@$(KUBERNETES)/python/bin/python requirements/install.py requirements/kubernetes.txt
	ln -sf python/bin/kubernetes-validate $(KUBERNETES)/kubernetes-validate
	touch $@

# Without them the bench names what it skips.
$(VENV)/.peers: requirements/peers.txt
	test -x $(VENV)/peers/bin/python || $(PYTHON) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python requirements/install.py requirements/peers.txt && touch $@ \
		|| echo "requirements/peers.txt cannot be installed: the bench skips the peers"

unit: $(VENV)/.dev ## run the unit tests: no servers, a tenth of the examples, nothing slow
	$(BIN)/python -m pytest -q -n logical --dist worksteal -m "not slow" --hypothesis-profile=unit --ignore=tests/unit/house tests/unit

test: $(VENV)/.dev ## run every test, with a quarter of the examples, on one real Kafka and one real Postgres
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

proofs: $(VENV)/.dev ## run the proofs on whole logs, of which `make test` takes the beginning
	ANDON_TEST_WHOLE=1 $(BIN)/python -m pytest -n logical tests/system/test_real_log.py tests/integration/importer tests/integration/detector/test_learned.py

panels: $(VENV)/.dev ## take away Kafka, Postgres and services, and see which panels turn red; and what the demo shows: takes minutes
	ANDON_TEST_PANELS=1 $(BIN)/python -m pytest -q -n 0 tests/integration/deploy/test_panels_*.py

pictures: $(VENV)/.dev ## play the four stories in Chromium, and write the pictures of docs/user
	$(BIN)/python -m tests.browser.pictures

coverage: $(VENV)/.dev ## show the lines that no unit test reaches (the whole suite is too slow to trace on Python 3.11)
	$(BIN)/python -m pytest -q -n logical -m "not slow" --hypothesis-profile=unit --cov=services --cov=shared --cov-report=term:skip-covered tests/unit

$(COMPILED)/.built: $(VENV)/.dev setup.py $(shell find services shared -type f -not -name '*.pyc')
	rm -rf build $(COMPILED)
	ANDON_COMPILE=1 $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target $(COMPILED) .
	rm -rf build andon.egg-info
	@ls $(COMPILED)/andon__mypyc.* >/dev/null 2>&1 || echo "No C compiler or no mypyc here: all stays pure Python"
	touch $@

compile: $(COMPILED)/.built ## compile the hot modules, for bench and test-compiled; needs a C compiler

test-compiled: compile ## run the unit tests of compiled modules on what `compile` built
	@if ls $(COMPILED)/andon__mypyc.* >/dev/null 2>&1; \
	then $(RUN_COMPILED) -m pytest --import-mode=append tests/compiled tests/unit/flow tests/unit/detector; \
	else echo "SKIPPED test-compiled: nothing was compiled here"; fi

test-containers: $(VENV)/.dev ## bring up docker-compose.yml on a real engine, post a webhook, find the mail
	@docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 \
		|| { test -x $(ANDON_TEST_DATA)/tools/container-engine.sh && $(ANDON_TEST_DATA)/tools/container-engine.sh up; } \
		|| { echo "SKIPPED test-containers: no container engine answers here"; exit 0; }; \
	if docker info >/dev/null 2>&1; then ANDON_TEST_CONTAINERS=1 $(BIN)/python -m pytest tests/containers; fi

test-kubernetes: $(VENV)/.dev ## render, validate and install the Helm chart on a real API server; its first build takes minutes
	@if command -v go >/dev/null; \
	then $(MAKE) $(KUBERNETES)/.built && ANDON_TEST_KUBERNETES=$(KUBERNETES) $(BIN)/python -m pytest -q -n 0 tests/kubernetes; \
	else echo "SKIPPED test-kubernetes: there is no Go, which builds Helm and the API server"; fi

canary: $(VENV)/.dev ## stop one service after the other, and see that the canary names the right step
	ANDON_TEST_CANARY=1 $(BIN)/python -m pytest -q tests/system/test_canary.py

check: $(VENV)/.dev ## format, lint, types, layers and the rules of the house
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/house

bench: compile $(VENV)/.peers ## measure speed against bare baselines and peers, compiled where that can be built; writes bench.json
	$(RUN_COMPILED) -m tests.bench.run $(if $(PARTS),--parts $(PARTS))

simulate-signals: $(VENV)/.dev ## measure false tickets, and how soon a true change is found; writes simulated.json
	$(BIN)/python -m tests.simulate.run

simulate-verification: $(VENV)/.dev ## measure false verdicts on changes, and how many true gains are verified; writes simulated-verification.json
	$(BIN)/python -m tests.simulate.run verification

chaos: $(VENV)/.dev ## kill everything again and again, and compare with a clean run
	$(BIN)/python -m tests.chaos.run

soak: $(VENV)/.dev ## HubSpot's retries against a broker that comes and goes, for SOAK_MINUTES (60)
	$(BIN)/python -m tests.chaos.retries --minutes $(or $(SOAK_MINUTES),60)

alerts: $(VENV)/.dev ## break what alerts are for, one after the other, with rules 15 times as fast; FAULTS="kafka-stopped ..." for some
	$(BIN)/python -m tests.alerts.run $(FAULTS)

fuzz: $(VENV)/.dev ## try every property on all examples, then fuzz every source for FUZZ_SECONDS (60); new code goes to tests/fuzz/corpus
	$(BIN)/python -m pytest -q -n logical --dist loadgroup --hypothesis-profile=full tests/unit tests/integration/detector tests/integration/intake
	$(BIN)/python -m tests.fuzz.run --seconds $(or $(FUZZ_SECONDS),60)

format: $(VENV)/.dev ## bring the code into its format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: $(VENV)/.dev ## write the pages that are made of the code
	$(BIN)/python -m services.cli.reference docs

site: $(VENV)/.dev ## build the documentation as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open site/index.html"

dashboards: $(VENV)/.dev ## write the dashboards of Grafana
	$(BIN)/python -m deploy.dashboards deploy/grafana/dashboards

contracts: $(VENV)/.dev $(VENV)/contract-tools/oasdiff ## compare messages, topics and API with the last release
	$(BIN)/python -m pytest -q tests/unit/contracts

release-contracts: docs ## keep the contracts of this version, for later ones to be compared with
	test ! -e $(RELEASED) && mkdir -p $(RELEASED) && cp docs/schemas/*.json $(RELEASED)

$(VENV)/.release: requirements/release.txt
	test -x $(VENV)/release/bin/python || $(PYTHON) -m venv $(VENV)/release
	@$(VENV)/release/bin/python requirements/install.py requirements/release.txt && touch $@

release: $(VENV)/.release ## build wheel, source, chart, bill of materials, notes and checksums into dist/; DRAFT=1 without a date
	$(VENV)/release/bin/python -m deploy.release $(if $(DRAFT),--draft) dist

audit: $(VENV)/.release ## ask for known vulnerabilities of what is pinned
	$(VENV)/release/bin/pip-audit -r requirements/run.txt -r requirements/import.txt --disable-pip --no-deps --progress-spinner off

lock: $(VENV)/.dev ## pin the dependencies again
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra import --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/import.txt
	$(BIN)/uv pip compile pyproject.toml --extra traces --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/traces.txt
	$(BIN)/uv pip compile pyproject.toml --extra compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/compile.txt
	$(BIN)/uv pip compile pyproject.toml --extra embedded --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/demo.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/dev.txt
	$(BIN)/uv pip compile requirements/release.in --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/release.txt
	$(BIN)/uv pip compile requirements/peers.in --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/peers.txt
	$(BIN)/uv pip compile requirements/kubernetes.in --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/kubernetes.txt

clean: ## remove what was installed and cached here
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
