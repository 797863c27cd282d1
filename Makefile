# make app, make test: everything else follows from these two, in a fresh clone with
# python3 (3.11 or newer), make and git on the machine.

PYTHON ?= python3
PORT ?= 8501
# Sites whose pages may show the app in a frame: EMBED="https://course.example".
EMBED ?=
# localhost: nobody else on the network sees it. A class needs ADDRESS=0.0.0.0.
ADDRESS ?= localhost

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet

# Where people edit Python.
SOURCES := $(wildcard convt_trace app.py pages tests bench scripts)
# What is type-checked: what people run and import, not the tests.
TYPED := $(wildcard convt_trace app.py pages/*.py scripts/*.py bench/*.py)
ALONE := tests/links/test_link_cost.py tests/browser
JS_TESTS := $(wildcard tests/js/*.js tests/js/*.mjs)
# Node and npm come with the test requirements; what npm starts has to find the same Node.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm --silent

# The checkout is used as it lies; scripts/ holds what tests and measurements share.
export PYTHONPATH := $(CURDIR):$(CURDIR)/scripts

.DEFAULT_GOAL := help
.PHONY: help app check test lint types test-js test-quick test-py browser bench real parity screenshots format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

app: $(VENV)/app.stamp  ## Start the app and open it in the browser (PORT=8501, ADDRESS=localhost)
	CONVT_EMBED="$(EMBED)" $(PY) scripts/start.py --port $(PORT) --address $(ADDRESS)

check: lint types test-js test-quick  ## Run what takes under two minutes: for every change

test: lint types test-js test-py  ## Run all checks and tests, the browser ones included

lint: $(VENV)/test.stamp node_modules/.stamp
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(NPM) run lint

types: $(VENV)/test.stamp node_modules/.stamp
	$(BIN)/mypy $(TYPED)
	$(NPM) run types

test-js: $(VENV)/test.stamp
ifeq ($(JS_TESTS),)
	@echo "No JavaScript tests in tests/js."
else
	$(BIN)/node --test $(JS_TESTS)
endif

# A process per core. What has a clock (the cost of links), and a browser, want the machine
# for themselves.
# Nothing of these is tried again: the plugin that does so asks over the network for each test.
PARALLEL := $(PY) -m pytest -n 2 -p no:rerunfailures $(addprefix --ignore=,$(ALONE))

# Fewer random examples than `make test` tries.
test-quick: $(VENV)/test.stamp
	$(PARALLEL) --hypothesis-profile=check

test-py: $(VENV)/test.stamp node_modules/.stamp browser
	$(PARALLEL)
	$(PY) -m pytest $(ALONE)

browser: $(VENV)/test.stamp
	@path="$$($(PY) scripts/find_browser.py)" && echo "The browser: $$path"
	@$(PY) scripts/find_firefox.py

bench: $(VENV)/test.stamp browser  ## Measure the engine, the messages, the player and the page
	@for script in bench/*.py; do echo "== $$script"; $(PY) $$script || exit 1; done

real: $(VENV)/app.stamp  ## Read a folder of real files and print what became of them (DIR=folder)
	@test -n "$(DIR)" || { echo "Say which folder: make real DIR=path/to/files"; exit 1; }
	$(PY) scripts/real.py "$(DIR)"

parity: .parity/stamp  ## Compare with real Keras, JAX, flax and ONNX, and record what they compute
	.parity/bin/python scripts/parity.py

screenshots: $(VENV)/test.stamp browser  ## Make the pictures of the README and the docs
	$(PY) scripts/screenshots.py

format: $(VENV)/test.stamp node_modules/.stamp  ## Put the code into its shape
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(NPM) run format

clean:  ## Remove what make made, the environment included
	rm -rf $(VENV) .parity node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than the requirements it was made from, or it is made again.
$(VENV)/app.stamp: $(PY) requirements.txt
	@echo "Installing what the app needs (PyTorch is large; only the first time is slow) ..."
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/test.stamp: $(VENV)/app.stamp requirements-test.txt
	@echo "Installing what the tests need ..."
	$(PIP) -r requirements-test.txt
	@touch $@

# An environment of its own: TensorFlow and the others are large, and nothing else needs them.
.parity/stamp: requirements-parity.txt
	@echo "Installing the frameworks to compare with (large; only the first time is slow) ..."
	@$(PYTHON) -m venv .parity
	.parity/bin/python -m pip --disable-pip-version-check install --quiet -r requirements-parity.txt
	@touch $@

node_modules/.stamp: $(VENV)/test.stamp package.json package-lock.json .npmrc
	@echo "Installing what checks the JavaScript and the pages ..."
	$(NPM) ci --no-audit --no-fund
	@touch $@

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; PYTHON=/path/to/python3 names one."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No venv module (Debian, Ubuntu: sudo apt-get install python3-venv)."; exit 1; }
