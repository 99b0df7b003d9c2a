.PHONY: run test test-all check bench chaos soak setup format index

PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

run: .venv/installed
	@$(BIN)/thaw serve --port $(PORT) $(if $(ROOT),--root $(ROOT))

setup: .venv/installed-dev

test: .venv/installed-dev
	@./tests/chromium.sh
	$(BIN)/pytest -n 2 --dist worksteal tests/engine tests/dashboard tests/attacks
	$(BIN)/pytest tests/browser

test-all: .venv/installed-dev
	@./tests/chromium.sh
	$(BIN)/pytest -n 2 --dist worksteal -m "" tests/engine tests/dashboard tests/attacks
	$(BIN)/pytest -m "" tests/browser

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed-dev
	@./tests/chromium.sh
	$(BIN)/python -m tests.benchmarks

soak: .venv/installed-dev
	$(BIN)/python -m tests.soak --minutes 60

chaos: .venv/installed-dev
	$(BIN)/python -m tests.chaos

index: .venv/installed-dev
	$(BIN)/python -m engine.models.make_index

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Thaw needs Python 3.11 or newer; name one with: make PYTHON=python3.12 run"; exit 1; }
	@echo "Setting up .venv; PyTorch is large, so the first time takes some minutes."
	@$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
