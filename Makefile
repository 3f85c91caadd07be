# make demo    install, then train on the embedded digits and show the result
# make test    install, then linters and tests
# make docs    install, then build the documentation: open site/index.html
# make test-all  the slow tests as well; full MNIST where RATENET_DATA_ROOT says
# make tables DATA=DIR  full_mnist.md, barrier.md, slowness.md and moving.md of benchmarks/results
#            anew: an hour or two, and resumed by the same command; DIR holds torchvision's MNIST
#
# Another interpreter has an environment of its own: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test test-all lint docs tables install
.DEFAULT_GOAL := demo

demo: install
	$(BIN)/ratenet train --out runs/demo --overwrite

test: install lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not full_mnist and not gpu"

test-all: install lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/repo-review .

# NO_MKDOCS_2_WARNING: the theme's advertisement of its successor would hide real warnings.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

tables: install
	for name in full_mnist barrier slowness; do \
	    $(BIN)/python benchmarks/$$name.py --data-root $(or $(DATA),$(error DATA is missing: make tables DATA=DIR)) || exit; \
	done
	for name in waiting moving; do $(BIN)/python benchmarks/$$name.py || exit; done

install: $(VENV)/.installed

# torch and torchvision come together, unpinned, in one command: a pair that fits.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,docs]"
	touch $@
