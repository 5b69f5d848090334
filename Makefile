PYTHON     ?= python3
PROFILE    ?= default
RERUN      ?=
EXTEND     ?=
CHECKPOINT ?=
SITE       ?= 1

BIN   := .venv/bin
STAMP := .venv/installed
PIP   := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
TEX   := apt-get install --no-install-recommends texlive-latex-base texlive-latex-recommended texlive-fonts-recommended latexmk
# what `make clean` removes, of every profile and besides
PROFILES    := $(basename $(notdir $(wildcard data/profiles/*.yaml)))
RUN_FOLDERS := benchmarks curves notebooks plans records scans states timings weights
MADE        := data/runs/baselines data/runs/cache data/runs/shrink data/runs/timings paper/build site .pytest_cache .snakemake build dist \
	nbs/.ipynb_checkpoints nbs/experiments/.ipynb_checkpoints vsrprune/__pycache__ tests/__pycache__

MIN   := $(shell sed -n 's/^min_python *= *//p' settings.ini)

.PHONY: help setup test test-published report site tex browser records lab clean

help:     ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP)  ## make .venv with the versions of constraints.txt (PYTHON=python3)

test: setup      ## run every notebook, then check the repository
	@echo 'test: notebooks and repository'
	@$(BIN)/python -m pytest -v --numprocesses auto --maxprocesses 4 --durations=10 -m 'not published' tests

test-published: setup  ## score the published networks on the whole of Vid4, as their authors did
	@echo 'test-published: published networks on Vid4'
	@$(BIN)/python -m pytest -v -rs --durations=10 -m published tests

report: setup tex  ## run the experiments and build the report (PROFILE=default RERUN=1 EXTEND=1 SITE=0)
	@echo 'report: profile $(PROFILE)'
	@$(BIN)/vsrprune report --profile '$(PROFILE)' $(if $(CHECKPOINT),--checkpoint '$(CHECKPOINT)') $(if $(RERUN),--rerun) $(if $(EXTEND),--extend) $(if $(filter 0,$(SITE)),--no-site)

site: setup      ## build the web site: reports, records, networks, pictures, notebooks (opens from disk)
	@$(BIN)/vsrprune site

records: setup   ## promote the records of a profile's runs to data/records (PROFILE=default)
	@echo 'records: profile $(PROFILE)'
	@$(BIN)/vsrprune records --profile '$(PROFILE)'

lab: setup       ## open the notebooks in JupyterLab
	@echo 'lab: JupyterLab on nbs'
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) nbs

clean:           ## remove runs, caches and products of profiles; .venv, and what was put beside them, stay
	@echo 'clean: what runs, builds and reports wrote'
	@git rev-parse --git-dir >/dev/null      # without it nobody knows what is committed
	@for path in $(MADE) $(PROFILES:%=figures/%) $(PROFILES:%=paper/tables/%) $(PROFILES:%=paper/report-%.pdf) \
		$(foreach profile,$(PROFILES),$(RUN_FOLDERS:%=data/runs/$(profile)/%)); do \
		if [ -e "$$path" ] && ! git ls-files --error-unmatch -- "$$path" >/dev/null 2>&1; then echo "removing $$path"; rm -rf -- "$$path"; fi; \
	done

tex:             ## install TeX where it is missing and apt-get may be used
	@if command -v latexmk >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'tex: installing TeX (170 MB)'; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && $(TEX) -qq -y >/dev/null && exit 0; \
	fi; \
	echo 'tex: no latexmk, so no PDF; to install it: sudo $(TEX)'

browser:         ## install Chromium where it is missing and apt-get may be used; tests open the site in it
	@if command -v chromium >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'browser: installing Chromium (400 MB)'; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install --no-install-recommends -qq -y chromium >/dev/null && exit 0; \
	fi; \
	echo 'browser: no Chromium, so tests of the site skip it; to install it: sudo apt-get install chromium'

$(STAMP): settings.ini setup.py constraints.txt | $(BIN)/pip
	@echo 'setup: installing into .venv (about 2 GB, some minutes)'
	@$(PIP) setuptools wheel
	@$(PIP) --no-build-isolation --use-pep517 -e '.[dev]'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < tuple(map(int, "$(MIN)".split("."))))' 2>/dev/null || \
		{ echo "setup: '$(PYTHON)' is not Python $(MIN) or newer; name one that is: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "setup: '$(PYTHON)' cannot make environments; to install what it lacks: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo 'setup: making .venv'
	@$(PYTHON) -m venv --clear .venv
