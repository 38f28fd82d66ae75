# make quickstart | test | lint | bench
# Every target makes .venv first, from requirements.lock; nothing but Python 3.11 and make is needed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test lint lock clean

quickstart: $(VENV)/.ready  ## the main job: recordings in (synthetic unless DATA=...), an int8 .tflite with its report out
	$(BIN)/hearlite quickstart --out quickstart $(if $(DATA),--data $(DATA)) $(if $(TEACHER),--teacher $(TEACHER))

test: $(VENV)/.ready  ## the whole test suite
	$(BIN)/python -m pytest

lint: $(VENV)/.ready  ## ruff, and mypy on the installed wheel
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/wheel && $(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(BIN)/pip install --quiet --no-deps --target build/wheel/site build/wheel/*.whl
	cd build/wheel && MYPYPATH=site ../../$(BIN)/mypy --config-file ../../pyproject.toml -p hearlite

lock:  ## pin all dependencies again, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra train --extra compat --extra test --extra cluster -o requirements.lock pyproject.toml

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) build quickstart *.egg-info
