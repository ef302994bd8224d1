# FindMe. `make` alone tells what there is. Needs Python 3.11 or newer and make; brings the rest itself.

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/sh
VENV := .venv/bin

# The first Python that is new enough; shims that answer "not found" are passed over.
FIND_PYTHON = for p in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found="$$p"; break; fi; done; \
	if [ -z "$$found" ]; then \
	echo "FindMe needs Python 3.11 or newer, and there is none on the PATH. Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1; fi

.PHONY: help run dev install install-dev test test-all fuzz mutants lint audit format bench chaos chroot load lock clean

help: ## this list
	@echo "FindMe: guests find their photos of an event with a selfie."
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo "PORT and DATA_DIR are honoured, as is every other setting of .env.example."

run: install ## install what is missing and start everything: web, workers, Redis, a demo event
	@exec $(VENV)/python -m webapp.run.supervisor --die-with-parent

dev: install-dev ## the same, reloading when a file changes
	@exec $(VENV)/python -m webapp.run.supervisor --die-with-parent --dev

install: ## packages, assets and translations for running
	@found=; $(FIND_PYTHON); exec "$$found" -I webapp/install.py run

install-dev:
	@found=; $(FIND_PYTHON); exec "$$found" -I webapp/install.py dev

# So many test processes; 0 is one without any beside it, which begins at once and which a debugger needs.
PROCESSES = $(if $(ARGS),0,3)
# Compiled tests are kept, whatever the environment says: without that each process compiles them anew, two seconds.
PYTEST = PYTHONDONTWRITEBYTECODE= $(VENV)/python -m pytest -n $(PROCESSES)
test: $(if $(ARGS),install-dev,lint audit) ## every check and every test; ARGS="-k word" for some tests alone, at once
	@$(PYTEST) $(ARGS)

test-all: lint audit ## the same with every test on both PostgreSQL and SQLite, not only where the database is the subject
	@TEST_DATABASES="sqlite postgresql" $(PYTEST) $(ARGS)

# A seed of its own for each run, which is printed; FUZZ_SEED=… draws the same calls again, FUZZ_ROUNDS=… makes more.
FUZZ_SEED ?= $(shell $(VENV)/python -c 'import random; print(random.randrange(2**32))')
FUZZ_ROUNDS ?= 10
FUZZ_EXAMPLES ?= 28
fuzz: install-dev ## odd calls of every address by everybody, for minutes (FUZZ_SEED, FUZZ_ROUNDS); TEST_DATABASES=sqlite
	@seed=$(FUZZ_SEED); echo "FUZZ_SEED=$$seed FUZZ_ROUNDS=$(FUZZ_ROUNDS) FUZZ_EXAMPLES=$(FUZZ_EXAMPLES)"; \
	FUZZ_SEED=$$seed FUZZ_ROUNDS=$(FUZZ_ROUNDS) FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) \
	PYTHONDONTWRITEBYTECODE= $(VENV)/python -m pytest -n 3 tests/attacks/test_every_address.py $(ARGS)

mutants: install-dev ## put ten deliberate faults into copies of the code: the tests have to find each
	@$(VENV)/python -m tests.mutants $(ARGS)

# tests/unit/project/test_linted_files.py counts the files that biome and djlint read.
NODE = $$(cat .venv/node)
BIOME = $(NODE) node_modules/@biomejs/biome/bin/biome check --error-on-warnings
SCRIPTS_AND_STYLES = static/js static/css static/build.mjs tests/unit/scripts package.json biome.jsonc
lint: install-dev ## style of Python, scripts, style sheets and templates; types; who may import whom
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports
	@$(BIOME) $(SCRIPTS_AND_STYLES)
	@$(VENV)/djlint --lint --quiet templates

# Asks at most once a day about the same lock files. Without the services it says so and fails nothing.
audit: install-dev ## ask for published advisories about every locked version
	@$(VENV)/python -m tests.audit

format: install-dev ## let ruff and biome lay the code out and mend what they can
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .
	@$(BIOME) --write $(SCRIPTS_AND_STYLES)

bench: install-dev ## measure speed; writes a CSV, fails where a goal is missed
	@$(VENV)/python -m tests.bench $(ARGS)

chaos: install-dev ## kill workers and empty Redis in the middle of 500 photos (--photos, --kills in ARGS)
	@$(VENV)/python -m tests.chaos $(ARGS)

chroot: install-dev ## execute the Dockerfile without Docker and run an event through its images (root, debootstrap)
	@$(VENV)/python -m tests.chroot $(ARGS)

load: install-dev ## measure under load, beside two stand-ins (LOAD_DATABASE=postgresql); writes load-results/
	@$(VENV)/python -m tests.load $(ARGS)

# The lock files, from pyproject.toml and package.json. Only this asks for newer versions (UPGRADE=--upgrade).
COMPILE = $(VENV)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header $(UPGRADE)
FULL = pyproject.toml --extra engine --extra embedded
lock: install-dev ## write the lock files anew
	@$(COMPILE) $(FULL) -o requirements.txt
	@$(COMPILE) $(FULL) --group dev -c requirements.txt -o requirements-dev.txt
	@$(COMPILE) pyproject.toml -c requirements.txt -o requirements-web.txt
	@$(COMPILE) pyproject.toml --extra engine -c requirements.txt -o requirements-worker.txt
	@$(COMPILE) --group demo --no-deps -o requirements-demo.txt
	@$(COMPILE) --group heic --no-deps -o requirements-heic.txt
	@$(COMPILE) --group node --no-deps -o requirements-node.txt
	@npm install --package-lock-only --ignore-scripts

clean: ## remove what install and the tools made (data stays)
	@rm -rf .venv node_modules static/vendor static/built .install.lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find webapp -name '*.mo' -delete 2>/dev/null || true
