# make quickstart | test | test-fast | test-kernels | lint | docs | results | lock
# Every target makes .venv first, from requirements.lock; nothing but Python 3.10 - 3.13 and make is needed.
SUPPORTED := 3.13 3.12 3.11 3.10
VENV := .venv
BIN := $(VENV)/bin

# The path of a Python that can make a virtual environment: the first of these commands that runs, by itself or in an installed version of pyenv's.
find_python = $(shell for name in $(1); do for version in "" $$(pyenv whence "$$name" 2>/dev/null); do \
	PYENV_VERSION=$$version "$$name" -c 'import ensurepip, sys, venv; print(sys._base_executable)' 2>/dev/null && exit; done; done)
ifdef PYTHON
CHOSEN := $(call find_python,$(PYTHON))
else
CHOSEN := $(call find_python,$(SUPPORTED:%=python%) python3)
endif
VERSION := $(shell "$(CHOSEN)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(filter $(VERSION),$(SUPPORTED)),)
$(error no Python of $(SUPPORTED) with venv and pip found$(if $(PYTHON), as '$(PYTHON)'$(if $(VERSION),: it is $(VERSION))), install one or name it: make PYTHON=/path/to/python3.12)
endif
READY := $(VENV)/.ready-$(VERSION)

.PHONY: quickstart test test-fast test-kernels docs results results-check lint lock lock-check clean

quickstart: $(READY)  ## the main job: recordings in (synthetic unless DATA=...), an int8 .tflite with its report out
	$(BIN)/hearlite quickstart --out quickstart $(if $(DATA),--data $(DATA)) $(if $(TEACHER),--teacher $(TEACHER))

test: $(READY)  ## the whole test suite
	$(BIN)/python -m pytest

test-fast: $(READY)  ## what needs no TensorFlow, browser, JVM or package index, in under a minute
	$(BIN)/python -m pytest -n auto -m "not tensorflow and not slow and not browser and not jvm and not arm and not network"

test-kernels: $(READY)  ## what trains, quantizes, exports and checks, with the kernels that TensorFlow picks on other processors
	TF_ENABLE_ONEDNN_OPTS=0 $(BIN)/python -m pytest -m kernels
	TF_ENABLE_ONEDNN_OPTS=1 ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/python -m pytest -m kernels

docs: $(READY)  ## the documentation, without warnings, into build/docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/docs

results: $(READY)  ## index.json, docs/results.md and the table of README.md from benchmarks/results
	$(BIN)/python -m hearlite.benchmarks.report.committed update

results-check: $(READY)  ## which results are older than their code; fails when a page is not what its results say
	$(BIN)/python -m hearlite.benchmarks.report.committed check

lint: $(READY)  ## ruff, spelling, the workflows' schema, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/mypy -p hearlite

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header
EXTRAS := --extra train --extra test --extra cluster --extra docs --extra heads --extra onnx
lock: $(READY)  ## pin all dependencies again, with hashes: one file for every supported Python and platform
	$(BIN)/pip install --quiet uv
	$(COMPILE) $(EXTRAS) -o requirements.lock pyproject.toml
	printf 'tflite-runtime==2.14.0\nnumpy==1.26.4\n' | $(COMPILE) -o benchmarks/cost/legacy_runtime.lock -

PLATFORMS := x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu aarch64-apple-darwin x86_64-pc-windows-msvc
lock-check: $(READY)  ## does the lock resolve to wheels on every platform and Python? Installs nothing
	$(BIN)/pip install --quiet uv
	for platform in $(PLATFORMS); do for version in $(SUPPORTED); do echo "$$platform, Python $$version"; \
	$(BIN)/uv pip install --quiet --dry-run --target build/lock-check --only-binary :all: --require-hashes \
	--python-platform $$platform --python-version $$version -r requirements.lock || exit 1; done; done

$(READY): requirements.lock pyproject.toml
	"$(CHOSEN)" -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) build quickstart *.egg-info
