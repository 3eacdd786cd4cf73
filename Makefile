# Everything sets itself up from a bare Python >= 3.11: a virtual environment in .venv, with pinned dependencies.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
OURS := modelwright.py state tools nodes graphs tests benchmarks
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export LANGSMITH_TRACING := false

.PHONY: help setup demo test test-campaign check test-pandas2 bench-quality bench-fresh bench-large bench-peers bench-sandbox bench-leaks bench-saving bench-engine campaign-durability clean
help:            ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

# pip compiles one file after another, so it is told not to, and what it installed is compiled on all cores instead;
# what cannot be compiled is a template that a library brings.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
COMPILE := $(BIN)/python -m compileall -qq -j 0

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "modelwright needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(PIP) -e .
	@$(COMPILE) $(VENV)/lib || true
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(PIP) -e '.[dev]'
	@$(COMPILE) $(VENV)/lib || true
	@touch $(VENV)/.core $@

setup: $(VENV)/.dev  ## virtual environment with everything for development

demo: $(VENV)/.core  ## build a model on a real data set, from the first line to the finished release; no key, no network
	$(BIN)/modelwright demo

# Hundreds of processes start from our sources; where Python may write no bytecode, each would compile them anew.
test: $(VENV)/.dev   ## format, layers, types, and all tests but the long ones
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy --num-workers 2
	$(COMPILE) $(OURS)
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations 25

test-campaign: $(VENV)/.dev  ## the long tests: whole builds, other moments, another user; takes minutes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m campaign

check: $(VENV)/.dev  ## format, layers and types only (mypy and pyright)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

campaign-durability: $(VENV)/.dev  ## hundreds of kill -9, thousands of histories; resumable, results in build/durability
	$(BIN)/python -m tests.durability.campaign

bench-engine: $(VENV)/.dev  ## CPU per step, bytes per checkpoint, seconds to resume; writes benchmarks/results/engine.json
	$(BIN)/python -m benchmarks.engine

test-pandas2: constraints.txt  ## the tests of tools/ on pandas 2.2, in a virtual environment of their own
	test -d .venv-pandas2 || $(PYTHON) -m venv .venv-pandas2
	grep -viE '^pandas(-stubs)?==' constraints.txt > .venv-pandas2/constraints.txt
	.venv-pandas2/bin/python -m pip install --quiet -c .venv-pandas2/constraints.txt -e '.[dev]' 'pandas==2.2.*'
	.venv-pandas2/bin/python -m pytest tests/tools

$(PEERS)/.made: benchmarks/peers/requirements.txt
	test -d $(PEERS) || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements.txt
	@touch $@

bench-peers: $(PEERS)/.made  ## the environment of AutoGluon and FLAML; nothing of ours depends on it

bench-quality: $(VENV)/.dev $(PEERS)/.made  ## against AutoGluon, FLAML and boosting on sixteen sets; resumable; ARGS='--write …'
	$(BIN)/python -m benchmarks.quality $(ARGS)

bench-fresh: $(VENV)/.dev $(PEERS)/.made  ## the same on nineteen sets that nothing was tuned on; ARGS='--write …'
	$(BIN)/python -m benchmarks.fresh $(ARGS)

bench-large: $(VENV)/.dev  ## memory and wall on drawn tables of 100,000 to 1,000,000 rows; resumable; ARGS='--write …'
	$(BIN)/python -m benchmarks.large $(ARGS)

bench-sandbox: $(VENV)/.dev  ## what the sandbox adds to a job, per tier, against none; results in benchmarks/results
	$(BIN)/python -m benchmarks.sandbox

bench-leaks: $(VENV)/.dev  ## the leak review on the same data sets; every finding must be true, docs/leaks.md lists them
	$(BIN)/python -m benchmarks.leaks

bench-saving: $(VENV)/.dev  ## saving and loading a forest: pickle, skops, plain arrays
	$(BIN)/python -m benchmarks.saving

clean:           ## remove the virtual environment and caches
	rm -rf $(VENV) $(PEERS) .venv-pandas2 .mypy_cache .ruff_cache .pytest_cache build *.egg-info
