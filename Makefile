# make run    start everything on this machine with demo users and a demo study
# make test   run every test, two files at a time (ARGS="-n 0 PATH" for one after the other)
# make check  ruff, mypy, the law of imports, the front end's static checks
# make fix    format and mend what ruff can
# make dist   the executable and the zipapp, under dist/
# make bench  measure against peers (VTK, Orthanc, Pillow, pydicom); writes docs/benchmarks
# make lock   write requirements.lock from the installed environment

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
HOST ?= localhost
PORT ?= 8443
# Half of the time tests wait for browsers and for processes to start. A file stays in one process, and files
# keep their order: asyncio and the browser's own loop take turns by folder.
AT_ONCE := -n 2 --dist loadfile --no-loadscope-reorder
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test

RUN_PACKAGES := libegl1 libopengl0 libgl1-mesa-dri
TEST_PACKAGES := $(RUN_PACKAGES) libosmesa6 chromium libatomic1 postgresql procps curl nghttp2-client
BENCH_PACKAGES := $(TEST_PACKAGES) orthanc apache2-utils

.PHONY: run test check fix dist bench lock clean system-run system-test system-bench

run: system-run $(STAMP)
	@$(BIN)/sivr demo $(DEMO) --host $(HOST) --port $(PORT)

test: system-test $(TEST_STAMP)
	$(BIN)/pytest $(AT_ONCE) $(ARGS)

check: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/static

fix: $(TEST_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dist: $(VENV)/.installed-dist
	$(BIN)/python packaging/build.py

bench: system-bench $(VENV)/.installed-bench
	$(BIN)/python benchmarks/suite.py --out docs/benchmarks $(ARGS)

lock:
	$(BIN)/pip freeze --exclude-editable --exclude sivr | LC_ALL=C sort > requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info

system-run:
	@sh packaging/system-packages.sh $(RUN_PACKAGES)

system-test:
	@sh packaging/system-packages.sh $(TEST_PACKAGES)

system-bench:
	@sh packaging/system-packages.sh $(BENCH_PACKAGES)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "SIVR needs Python 3.11 or newer.")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 1; }

$(STAMP): $(VENV)/bin/python pyproject.toml requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check -c requirements.lock -e .
	@touch $@

$(TEST_STAMP): $(VENV)/bin/python pyproject.toml requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check -c requirements.lock -e '.[test,check]'
	@touch $@ $(STAMP)

$(VENV)/.installed-bench: $(TEST_STAMP)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[bench]'
	@touch $@

$(VENV)/.installed-dist: $(TEST_STAMP)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[dist]'
	@touch $@
