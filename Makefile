# `make help` lists the targets. Nothing here needs more than Python 3.9+, a C compiler and make.
#
#   PYTHON   the interpreter that the virtual environment is made of
#   VENV     the virtual environment; another PYTHON wants another VENV
#   PYTEST   further options for pytest, as in: make test PYTEST="-k gate -x"
#   PARALLEL how many tests run at a time (most of them wait for a program); empty: one after another

PYTHON ?= python3
VENV ?= .venv
PYTEST ?=
PARALLEL ?= --numprocesses=3
CC ?= cc

PY := $(VENV)/bin/python
HERE := $(CURDIR)
PY_FROM_ELSEWHERE = $(abspath $(PY))
EXAMPLE := examples/las_to_html

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all test-newest test-cpython build test-core leaks soak asan asan-core asan-python tsan fuzz fuzz-short big layers guard lint bench bench-quick bench-docs plots docs-examples clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

# --- building -------------------------------------------------------------------------------------------------------

$(VENV)/.made: # the project is installed in place: its dependencies change with pyproject.toml only
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip 'setuptools>=77'
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml setup.py
	$(PY) -m pip install --quiet --no-build-isolation --editable . numpy
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PY) -m pip install --quiet --no-build-isolation --editable '.[dev]'
	@touch $@

build: $(VENV)/.run ## the extension, in place
	@$(PY) setup.py --quiet build_ext --inplace

demo: build ## trace the example program, show the log and the last word
	rm -rf build/demo build/demo.log
	$(PY) $(EXAMPLE)/generate.py build/demo/las --size 500K --seed 1
	$(PY) -m pymemtrace run -o build/demo.log -f $(EXAMPLE)/las_to_html.py build/demo/las build/demo/html
	@echo; echo "--- build/demo.log begins:"; head -n 32 build/demo.log
	@echo "--- and ends:"; tail -n 16 build/demo.log

# --- testing --------------------------------------------------------------------------------------------------------

test: demo $(VENV)/.dev ## the demo, then all tests
	$(PY) -m pytest $(PARALLEL) $(PYTEST)

test-all: $(VENV)/.dev ## all tests on every CPython 3.9 to 3.13 on this machine
	$(VENV)/bin/nox

# CPython 3.14 and 3.15 in a Debian root of their own: whole suite on the release builds, what drives the engines on the
# debug builds, which check reference counts and assertions on our behalf.
NEWEST := build/newest/root
NEWEST_WHOLE ?= python3.14 python3.15
NEWEST_PART ?= python3.14d python3.15d
NEWEST_TESTS := $(foreach name,engines events threads fork_off,tests/integration/test_$(name).py) \
	tests/integration/test_programs.py::test_signals

test-newest: ## tests on CPython 3.14 and 3.15, release and debug builds, in a Debian root (which needs root)
	@status=0; tests/newest/make_root.sh $(NEWEST) || status=$$?; failed=; \
	if [ $$status = 77 ]; then exit 0; elif [ $$status != 0 ]; then exit $$status; fi; \
	for python in $(NEWEST_WHOLE); do \
	    tests/newest/run.sh $(NEWEST) $$python $(PARALLEL) -m "not slow_once" $(PYTEST) || failed="$$failed $$python"; \
	done; \
	for python in $(NEWEST_PART); do \
	    tests/newest/run.sh $(NEWEST) $$python $(PARALLEL) $(NEWEST_TESTS) $(PYTEST) || failed="$$failed $$python"; \
	done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed"; exit 1; fi

# CPYTHON="test_threading --options='--log all'" and the like: modules, and options of the recorder.
CPYTHON ?=

test-cpython: $(VENV)/.dev ## CPython's own tests without and with the recorder, on every CPython 3.9 to 3.13 on this machine
	$(VENV)/bin/nox --session cpython $(if $(CPYTHON),-- $(CPYTHON))

leaks: build $(VENV)/.dev ## the leak test of every public name
	$(PY) -m pytest tests/integration/test_leaks.py $(PYTEST)

soak: build $(VENV)/.dev ## 300 programs killed and recovered; 100 MB through keep=1M; a pool that loses its workers, 10 minutes; 100 sampled programs killed
	PYMEMTRACE_SOAK=$(or $(SOAK),300) PYMEMTRACE_SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(PY) -m pytest \
	    $(foreach name,kill keep pool_soak sampler,tests/integration/test_$(name).py) $(PYTEST)

layers: build $(VENV)/.dev ## who includes and imports whom
	$(PY) -m pytest tests/unit/test_layers.py $(PYTEST)

lint: $(VENV)/.dev ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The core without an interpreter, built in three ways.

CORE_SOURCES := $(sort $(wildcard src/core/*.c src/platform/*.c))
CORE_HEADERS := $(sort $(wildcard src/core/*.h src/platform/*.h tests/core/*.h))
CORE_FLAGS := -std=c11 -D_GNU_SOURCE -g -Wall -Wextra -Isrc -Itests/core -pthread -fvisibility=hidden
ifeq ($(PYMEMTRACE_WERROR),1)
CORE_FLAGS += -Werror
endif
CORE_TEST := @$(MAKE) --no-print-directory -f tests/core/Makefile -j$(shell nproc) FLAGS="$(CORE_FLAGS)"
WITH_THREADS := test_output test_recorder test_recover test_ring test_sampler test_writer

test-core: ## the C tests of the core, without Python
	$(CORE_TEST) FLAVOUR=plain

asan-core:
	$(CORE_TEST) FLAVOUR=asan

tsan: ## those of the core's tests that have threads under ThreadSanitizer
	$(CORE_TEST) FLAVOUR=tsan TESTS="$(WITH_THREADS)"

# The tests run in a copy of the project whose extension is built with the sanitizers. The interpreter's own leaks are
# not ours, so leaks are looked for in the core's tests only.
ASAN_COPY := src pymemtrace tests examples benchmarks $(wildcard docs tools) setup.py pyproject.toml Makefile LICENSE \
	$(wildcard README.md CHANGELOG.md CONTRIBUTING.md MANIFEST.in noxfile.py .gitignore)
ASAN_LIBRARIES = $(foreach name,libasan.so libubsan.so libstdc++.so.6,$(filter /%,$(shell $(CC) -print-file-name=$(name))))

# What drives the extension; the launcher's tests compare output, which a sanitizer would change.
ASAN_TESTS := $(foreach name,events threads fork fork_off layout profilers scale memory descriptors capture capture_errors sampler,\
	tests/integration/test_$(name).py) tests/unit/test_capture_reader.py

asan: asan-core asan-python ## the core's tests, then the extension's, under ASan and UBSan

asan-python: $(VENV)/.dev
	@mkdir -p build/asan
	@cd build/asan && rm -rf $(ASAN_COPY)
	@cp -R --preserve=timestamps $(ASAN_COPY) build/asan
	@find build/asan/pymemtrace -name '*.so' -delete
	cd build/asan && PYMEMTRACE_SANITIZE=address,undefined $(PY_FROM_ELSEWHERE) setup.py --quiet build_ext --inplace
	cd build/asan && LD_PRELOAD="$(ASAN_LIBRARIES)" PYTHONMALLOC=malloc PYTHONPATH="$(HERE)/build/asan" \
	    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	    $(PY_FROM_ELSEWHERE) -m pytest $(PARALLEL) -m "not not_sanitized" -p no:cacheprovider $(ASAN_TESTS) $(PYTEST)

# What reads files that may hold anything, fed with changed captures and left-overs by libFuzzer. FUZZ_SECONDS of CPU time
# are shared out among the targets; what is found is kept in build/fuzz.

CLANG ?= clang
FUZZ_SECONDS ?= 1800
FUZZ_TARGETS := reader recover
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/objects/%.o,$(filter-out src/core/arena.c,$(CORE_SOURCES)) tests/fuzz/arena.c)
FUZZ_FLAGS := $(CORE_FLAGS) -Itests/fuzz -O1 -fsanitize=fuzzer,address,undefined,float-cast-overflow \
	-fno-sanitize-recover=all -fno-omit-frame-pointer

fuzz: $(FUZZ_TARGETS:%=build/fuzz/fuzz_%) build/fuzz/make_seeds ## fuzz the readers, FUZZ_SECONDS of CPU time (1800)
	@rm -rf build/fuzz/seeds && build/fuzz/make_seeds build/fuzz/seeds
	@files=$$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) && trap 'rm -rf "$$files"' EXIT && failed=; \
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p build/fuzz/corpus/$$target build/fuzz/found; \
	    (cd "$$files" && FUZZ_CPU_SECONDS=$$(($(FUZZ_SECONDS) / $(words $(FUZZ_TARGETS)))) timeout $$(($(FUZZ_SECONDS) * 4 + 60)) \
	        "$(HERE)/build/fuzz/fuzz_$$target" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
	        -artifact_prefix="$(HERE)/build/fuzz/found/$$target-" "$(HERE)/build/fuzz/corpus/$$target" \
	        "$(HERE)/build/fuzz/seeds/$$target") >build/fuzz/$$target.log 2>&1 || failed="$$failed $$target"; \
	    grep -E "not so|ERROR|SUMMARY|runtime error|^stat::(number|average|peak)" build/fuzz/$$target.log; \
	done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed; see build/fuzz/*.log and build/fuzz/found"; exit 1; fi

fuzz-short: ## the same for a minute
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=60

build/fuzz/objects/%.o: %.c $(CORE_HEADERS) $(wildcard tests/fuzz/*.h) Makefile
	@command -v "$(CLANG)" >/dev/null || { echo "fuzzing needs clang with libFuzzer: apt-get install clang"; exit 1; }
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_FLAGS) -c -o $@ $<

build/fuzz/fuzz_%: build/fuzz/objects/tests/fuzz/fuzz_%.o $(FUZZ_OBJECTS)
	@$(CLANG) $(FUZZ_FLAGS) -o $@ $^

build/fuzz/make_seeds: tests/fuzz/make_seeds.c $(CORE_HEADERS) tests/fuzz/remains.h
	@mkdir -p $(@D)
	@$(CC) $(CORE_FLAGS) -O1 -o $@ $<

# A capture of BIG_EVENTS (1.3 GB for a billion), and its tree: is it right, how fast, in how much memory?

BIG_EVENTS ?= 1000000000
BIG_RUNS ?= 3

big: build/big/make_capture build/big/read_capture build $(VENV)/.dev ## a capture of a billion events, read (BIG_EVENTS=20000000: of less)
	@trap 'rm -f build/big/big.pmt' EXIT && need=$$(($(BIG_EVENTS) / 500000 + 100)) && \
	if [ "$$(df -Pm build/big | awk 'NR == 2 { print $$4 }')" -lt "$$need" ]; then \
	    echo "build/big needs $$need MB of free disk"; exit 1; fi && \
	build/big/make_capture build/big/big.pmt $(BIG_EVENTS) && build/big/read_capture build/big/big.pmt $(BIG_RUNS) && \
	$(PY) tests/big/reports.py build/big/big.pmt

build/big/%: tests/big/%.c $(CORE_SOURCES) $(CORE_HEADERS) Makefile
	@mkdir -p $(@D)
	@$(CC) $(CORE_FLAGS) -O2 -o $@ $(filter %.c,$^)

# --- measuring ------------------------------------------------------------------------------------------------------

guard: build $(VENV)/.dev ## instructions per event, under valgrind, against their ceilings (RECORD=1: new ceilings)
	$(if $(RECORD),cd tests && $(PY_FROM_ELSEWHERE) -m guard.measure,$(PY) -m pytest -s tests/guard $(PYTEST))

# BENCH="--rounds 30" and the like. Results are for keeping: they are checked in, and docs/performance.md is made of them.
bench: build ## what recording costs: all cases and modes, scaling, start, memory (takes hours)
	$(PY) -m benchmarks run --case all --results --markdown build/benchmarks/run.md $(BENCH)
	$(PY) -m benchmarks run --cpus 1 --results one-core $(BENCH)
	$(PY) -m benchmarks run --engines profile,monitoring --results engines $(BENCH)
	$(PY) -m benchmarks scaling --results
	$(PY) -m benchmarks startup --results
	$(PY) -m benchmarks memory --results

bench-quick: build ## do the benchmarks work? Their figures are noise
	$(PY) -m benchmarks run --quick --case all --rounds 1
	$(PY) -m benchmarks scaling --events 100K --rounds 1
	$(PY) -m benchmarks startup --rounds 3
	$(PY) -m benchmarks memory --events 2M --functions 2K

bench-docs: $(VENV)/.dev ## the tables and the picture of docs/performance.md, from benchmarks/results
	$(PY) -m benchmarks docs
	$(PY) -m benchmarks plot

docs-examples: build ## what reports say of examples/reports, in docs/reports.md
	$(PY) tools/examples.py

plots: build $(VENV)/.dev ## the six plots of docs/plots.md: RSS and CPU of the example against time (3 GB of disk)
	$(PY) -m benchmarks pictures

clean: ## remove what was built
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f pymemtrace/*.so
	find pymemtrace benchmarks tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## and the virtual environments
	rm -rf .venv .nox
