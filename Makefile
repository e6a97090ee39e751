# perpixel's development commands. Needed beforehand: Python 3.11 or newer, make, and a network or wheels.
#
#   make demo                                     draw street scenes, train on them, measure, show
#   make test                                     run the tests
#   make bench DATA=folder                        measure speed, training's on a data set of yours
#   make demo PYTHON=python3.12                   with another Python
#   make demo TORCH='torch>=2.9'                  with another PyTorch
#   make demo TORCH_FLAGS='--index-url URL'      from another channel, such as PyTorch's own for CPUs
#   make demo VENV_FLAGS=--system-site-packages   with the PyTorch that PYTHON already has
#
# pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, PIP_CONSTRAINT, ...) are honoured.

PYTHON ?= python3
VENV ?= .venv
VENV_FLAGS ?=
TORCH ?= torch==2.13.0
TORCH_FLAGS ?=
JOBS ?= auto

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip

.PHONY: help demo test check lint types docs bench clean

help:
	@echo 'make demo    draw street scenes, train on them, measure, show'
	@echo 'make test    run the tests'
	@echo 'make check   lint, types, tests and docs'
	@echo 'make bench   run the benchmarks'
	@echo 'make clean   delete what make and the tools wrote, the environment included'

demo: $(VENV)/.installed
	$(BIN)/perpixel demo

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS)

check: lint types test

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-lint
	$(BIN)/mypy

# Already part of `make test`; alone, for whoever edits a page.
docs: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/test_docs.py

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks $(DATA)

clean:
	rm -rf '$(VENV)' build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -exec rm -rf {} +

# Stamps: an environment is made once, and again when pyproject.toml changes.

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'make: expected Python 3.11 or newer, got '"$$($(PYTHON) --version 2>&1)"'. Name a newer one: make PYTHON=python3.12' >&2; \
	  exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV_FLAGS) '$(VENV)'
	$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install -q $(TORCH_FLAGS) '$(TORCH)'
	$(PIP) install -q -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install -q -e '.[test]'
	@touch $@

$(VENV)/.installed-lint: $(VENV)/.installed
	$(PIP) install -q -e '.[test,lint]'
	@touch $@
