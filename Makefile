# make run APP=path/to/demo.py serves that file's app.
# Works on a fresh Debian with Python 3.11, git and make; the rest is installed here.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint bench

run: .venv/run
	$(BIN)/python app.py $(APP)

test: .venv/test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench
	$(BIN)/python -m tests.bench

.venv/pip:
	$(PYTHON) -m venv .venv
	touch $@

.venv/run: .venv/pip requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test: .venv/run tests/requirements.txt tests/node/package-lock.json tests/install.py
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(BIN)/python tests/install.py
	touch $@

.venv/bench: .venv/test tests/bench/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
	$(BIN)/python tests/install.py bench
	touch $@
