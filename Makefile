# make demo: train on the bundled emoji, judge, search, report.   make test: lint, types, the order of imports, all tests.
# make quick: contract tests and small tests of each room, in under a minute on two cores.
# make docs: the pages of docs/ as a site in site/, which needs no network to be read.
# Inside an environment that is already active, that one is used; else .venv is made. An install is repeated only when pyproject.toml changes.
PYTHON ?= python3
ENVIRONMENT := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),.venv)
BIN := $(ENVIRONMENT)/bin

.PHONY: demo docs test quick lint types imports pytest clean

demo: $(ENVIRONMENT)/.kontrast-demo
	$(BIN)/kontrast demo

docs: $(ENVIRONMENT)/.kontrast-docs
	$(BIN)/zensical build --clean

test: lint types imports pytest

lint: $(ENVIRONMENT)/.kontrast-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(ENVIRONMENT)/.kontrast-test
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(ENVIRONMENT)/.kontrast-test
	$(BIN)/lint-imports

# Two processes of one thread each: threads of both on the same cores would wait for one another.
pytest: $(ENVIRONMENT)/.kontrast-test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: $(ENVIRONMENT)/.kontrast-test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist load -m "quick and not slow and not dist and not kill and not perf"

$(ENVIRONMENT)/bin/python:
	$(PYTHON) -m venv $(ENVIRONMENT)

$(ENVIRONMENT)/.kontrast-demo: pyproject.toml | $(ENVIRONMENT)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[search]"
	@touch $@

$(ENVIRONMENT)/.kontrast-docs: pyproject.toml | $(ENVIRONMENT)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@

$(ENVIRONMENT)/.kontrast-test: pyproject.toml | $(ENVIRONMENT)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[all,test]"
	@touch $@ $(ENVIRONMENT)/.kontrast-demo $(ENVIRONMENT)/.kontrast-docs

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist build site
