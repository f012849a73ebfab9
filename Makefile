# `make demo` and `make test` are all the set-up there is: each makes .venv if it must, then runs.
PYTHON ?= python3
BIN := .venv/bin
STUB := .venv/stubs/tensorrt_bindings/tensorrt.pyi
# Strict: links in place of an import hook, so that mypy finds the package too.
EDITABLE := --config-settings editable_mode=strict -e

.PHONY: demo test lint types installed clean

demo: installed
	$(BIN)/osnet-edge demo -o demo --force

test: installed lint types
	$(BIN)/python -m pytest -n 2 --doctest-modules --pyargs tests osnet_edge

lint: installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: installed
	$(BIN)/mypy -p osnet_edge
	$(BIN)/mypy scripts

# Every time, since a strict editable install knows only the files that were there when it was made.
installed: .venv/ready
	@$(BIN)/pip install -qq --no-deps --no-build-isolation $(EDITABLE) .

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "osnet-edge needs Python 3.10 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --upgrade pip setuptools wheel
	$(BIN)/pip install -qq -c constraints.txt $(EDITABLE) '.[dev]'
	$(BIN)/pip install -qq -c constraints.txt --no-deps trackeval
	$(BIN)/pip install -qq -c constraints.txt --no-deps --upgrade --target .venv/stubs tensorrt-stubs
	# As published they do not parse: a parameter is called `in`, and one without a default follows others.
	sed -i.published -e 's/, in: /, in_: /' -e 's/channel_axis: int)/channel_axis: int = ...)/' $(STUB)
	touch $@

clean:
	rm -rf .venv build demo
