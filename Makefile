# zebfast: `make demo` and `make test` each set everything up from nothing. `make help` lists the rest.
#
#   PYTHON=/path/to/python3.12 make demo    choose the interpreter the environment is made from
#   VENV=/path/to/venv make test            keep the environment elsewhere
#   make test TEST_ARGS=tests/rules         only some tests, or any other options of pytest

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet --quiet
CC ?= cc
SELFTEST_FLAGS ?= -O1 -g -DZF_NO_CLONES -fsanitize=address,undefined -fno-sanitize-recover=undefined
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
SANITIZE_ARGS ?=
SLUG ?= run
NAME ?= base
SEEDS ?= 1000
FIRST ?= 1
HOURS ?= 24
KILLS ?= 50
BASE ?= HEAD
GATE_ARGS ?=
RECIPE ?= fast
SEED ?= 1
RECORDS ?=
WHEELS_ARGS ?=
RUN = $(notdir $(basename $(RECIPE)))-$(SEED)

C_FILES := $(wildcard csrc/*.c csrc/*.h)
CORE_FILES := $(wildcard zebfast/core/*.pyx zebfast/core/*.pxd)

say = @printf '\033[1m==>\033[0m %s\n' "$(1)"

.PHONY: help demo test test-costs test-slow gpu-check scale simulate ordeal selftest sanitize fuzz bench bench-base \
    bench-compare gate record weights \
    lint docs pictures build dist wheels clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.built ## learn Texas 42 from nothing, in about five minutes on two cores
	@$(VENV)/bin/zebfast demo $(DEMO_ARGS)

# The programs that tests start would each compile zebfast anew.
test test-slow: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.built $(VENV)/.browser ## everything that must hold, the self-test of the C core included
	$(call say,running the tests)
	@$(PY) -m pytest -m "not slow" -n 4 --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

test-costs: export PYTHONPATH := tests/support
test-costs: override TEST_ARGS += -p costs
test-costs: test ## the tests, and where their processor time goes

test-slow: $(VENV)/.built $(VENV)/.fuzz $(VENV)/.browser $(VENV)/.crossed ## the tests that take long, and those that need a GPU where there is one
	@$(PY) -m pytest -m "slow or gpu" $(TEST_ARGS)

gpu-check: $(VENV)/.built ## all that needs a GPU, in ten minutes on one, with a record; on a CPU in small, without
	@$(PY) tools/gpu_check.py

selftest: build/selftest ## the C core on its own, under the address and undefined-behaviour sanitizers
	$(call say,running the C self-test)
	@build/selftest

build/selftest: $(C_FILES)
	$(call say,compiling the C self-test)
	@mkdir -p build
	@$(CC) -std=c11 -Wall -Wextra $(SELFTEST_FLAGS) -pthread -Icsrc $(filter %.c,$^) -o $@ -lm

scale: $(VENV)/.built ## the learner beside 1,000 simulated workers: over a directory, a bucket, a repository
	@$(PY) -m tests.experiment.scale_figures directory
	@$(PY) -m tests.experiment.scale_figures bucket
	@$(PY) -m tests.experiment.scale_figures repository --faster 60

simulate: $(VENV)/.built ## whole runs in a simulated world in which everything goes wrong (SEEDS=1000 HOURS=24)
	@$(PY) -m tests.simulation.run --seeds $(SEEDS) --first $(FIRST) --hours $(HOURS)

fuzz: $(VENV)/.built $(VENV)/.fuzz ## a minute of fuzzing for each reader (FUZZ_SECONDS=60 FUZZ_TARGETS=heartbeat,state)
	@$(PY) tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS) --targets "$(FUZZ_TARGETS)"

sanitize: $(VENV)/.installed ## Python tests of the compiled core under the address, UB and thread sanitizers
	@$(PY) tools/sanitize.py $(SANITIZE_ARGS)

ordeal: $(VENV)/.built ## worker and learner killed KILLS=50 times over a loopback Hub, and on a failing disk
	@$(PY) -m pytest tests/experiment/test_hub_kill.py tests/experiment/test_kill.py --kills $(KILLS)

bench: $(VENV)/.built ## the speed suite and its gates (pass options with BENCH_ARGS=...)
	@$(PY) -m pytest bench $(BENCH_ARGS)

bench-base: $(VENV)/.built ## time the suite and keep that as the run NAME, to compare with, if all of it passed
	@mkdir -p .benchmarks
	@$(PY) -m pytest bench --benchmark-only --benchmark-json=.benchmarks/$(NAME).json $(BENCH_ARGS)

bench-compare: $(VENV)/.built ## time it again: fails where a median is 10 % above the run NAME's; keeps nothing
	@$(PY) -m pytest bench --benchmark-only --benchmark-compare=.benchmarks/$(NAME).json \
	    --benchmark-compare-fail=median:10% $(BENCH_ARGS)

gate: $(VENV)/.built ## each stage timed in turns with another revision (BASE=main): has one become slower?
	@$(PY) tools/gate.py $(BASE) $(GATE_ARGS)

record: $(VENV)/.built ## run the speed suite, keep it in bench/records/ (SLUG=name) and renew the tables
	@mkdir -p build
	@$(PY) -m pytest bench --benchmark-json=build/bench.json $(BENCH_ARGS)
	@$(PY) tools/records.py build/bench.json --slug $(SLUG)
	@$(PY) tools/readme.py figures cost

# The run is an experiment like any other; interrupted, the same command goes on with it. RECORDS:
# files below bench/records/ that the network's header names.
weights: $(VENV)/.built ## the network that is shipped, trained anew from nothing (RECIPE=fast SEED=1)
	@test -d experiments/$(RUN) || \
	    $(VENV)/bin/zebfast experiment create $(RUN) --recipe $(RECIPE) --seed $(SEED)
	@$(VENV)/bin/zebfast experiment learn $(RUN)
	@$(PY) tools/ship_weights.py experiments/$(RUN)/run/$(RUN)-best.safetensors --seed $(SEED) \
	    $(addprefix --record ,$(RECORDS))

lint: $(VENV)/.built ## ruff, mypy and the import direction between rooms
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

docs: $(VENV)/.built ## the pages of docs/ as HTML in build/docs/, with links checked; warnings are errors
	$(call say,building the documentation)
	@$(PY) -m sphinx -q -W --keep-going -E -d build/doctrees docs build/docs
	$(call say,open build/docs/index.html)

pictures: $(VENV)/.built $(VENV)/.browser ## the pictures of docs/, made anew by the pages that they show
	@$(PY) -m pytest -q tests/web/test_pictures.py --renew-pictures

build: $(VENV)/.installed ## recompile what changed, in place
	@$(PY) setup.py -q build_ext --inplace
	@touch $(VENV)/.built

dist: $(VENV)/.installed ## source archive and wheel in dist/
	@$(PY) -m build --no-isolation

wheels: $(VENV)/.installed ## wheels built, audited, installed in clean environments, played (WHEELS_ARGS='--python PYTHON')
	@$(PIP) install -c constraints.txt auditwheel
	@$(PY) tools/wheels.py $(WHEELS_ARGS)

clean: ## remove what was compiled and generated
	rm -rf build dist *.egg-info zebfast/core/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f $(VENV)/.built

distclean: clean ## clean, and remove the environment as well
	rm -rf $(VENV)

# --- setting up -----------------------------------------------------------------------------------

# The first interpreter that is new enough and can make an environment; PYTHON overrides the search.
define make_venv
set -e; \
for python in $(or $(PYTHON),python3 python3.12 python3.11 python3.13); do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
    found=$$python; \
    $$python -c 'import venv, ensurepip' 2>/dev/null || continue; \
    printf '\033[1m==>\033[0m %s\n' "creating $(VENV) with $$($$python --version)"; \
    $$python -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
    exit 0; \
done; \
if [ -n "$$found" ]; then \
    echo "error: $$found has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
else \
    echo "error: no Python 3.11 or newer found; install one, or say PYTHON=/path/to/python3." >&2; \
fi; \
exit 1
endef

$(PY):
	@$(make_venv)

$(VENV)/.installed: pyproject.toml setup.py constraints.txt | $(PY)
	@command -v $(CC) >/dev/null || { \
	    echo "error: no C compiler '$(CC)'; install one (Debian, Ubuntu: apt-get install build-essential)." >&2; \
	    exit 1; }
	$(call say,installing build tools)
	@$(PIP) install -c constraints.txt setuptools cython
	$(call say,installing dependencies and compiling zebfast (the first time takes some minutes: torch is large))
	@$(PIP) install -c constraints.txt --no-build-isolation --editable '.[dev,docs,plot,hub,wandb,fleet,runpod,s3,web]'
	@touch $@

# Guided fuzzing; where there is no such package for this machine, changes are made at random.
$(VENV)/.fuzz: $(VENV)/.installed
	@$(PIP) install -c constraints.txt atheris || \
	    echo "no atheris for this machine: fuzzing goes on without the guidance of coverage" >&2
	@touch $@

# Chromium and what drives it, for the tests of the pages, where this may be installed; without it
# they are skipped and say so.
$(VENV)/.browser: | $(VENV)/.installed
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    printf '\033[1m==>\033[0m %s\n' "installing Chromium for the tests of the pages"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	        --no-install-recommends chromium chromium-driver; } >/dev/null 2>&1 || \
	        echo "no Chromium could be installed: the tests of the pages are skipped" >&2; \
	else \
	    echo "no chromium and chromedriver: the tests of the pages are skipped" >&2; \
	fi
	@touch $@

# Compilers and emulators for the self-test of other platforms, where they may be installed; without
# them those tests are skipped and say so.
CROSS = clang-19 musl-tools qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
    gcc-s390x-linux-gnu libc6-dev-s390x-cross

$(VENV)/.crossed: | $(VENV)/.installed
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    printf '\033[1m==>\033[0m %s\n' "installing compilers for other platforms"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	        --no-install-recommends $(CROSS); } >/dev/null 2>&1 || \
	        echo "not all compilers for other platforms could be installed" >&2; \
	fi
	@touch $@

$(VENV)/.built: $(VENV)/.installed $(C_FILES) $(CORE_FILES)
	$(call say,compiling what changed)
	@$(PY) setup.py -q build_ext --inplace
	@touch $@
