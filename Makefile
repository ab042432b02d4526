# The front door. demo and test do their own set-up on a machine with Python >= 3.11, git and make.
# ARGS is passed on: make demo ARGS=--exit, make test ARGS="-k journal".
.PHONY: demo test check bench soak docs screenshots observed lock
BIN := .venv/bin
# Tests mostly wait for processes: two cores are busy for two thirds of the time with four of them at once.
WORKERS = $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 3 ? n + 3 : 5)))
PYTEST := $(BIN)/python -m pytest -q $(if $(CI),-p tests.plugin_no_skips)

demo: .venv/.stamp
	$(BIN)/rota demo $(ARGS)

test: .venv/.stamp
	.ci/system-parts
	$(BIN)/python -m compileall -q sdk collector dashboard  # hundreds of processes start in the tests
	$(PYTEST) --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)  # slow files first: folders in their order

check: .venv/.stamp
	$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet && $(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy && $(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/python docs/generate.py --check && .ci/compile-py38

bench: .venv/.stamp
	$(BIN)/python -m bench $(ARGS)

soak: .venv/.stamp
	$(BIN)/python -m compileall -q sdk collector dashboard
	$(PYTEST) tests/chaos tests/contract tests/integration/observers -m "soak or not soak" $(ARGS)

docs: .venv/.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)

screenshots: .venv/.stamp
	PYTHONPATH=. $(BIN)/python docs/screenshots.py $(ARGS)

observed: .venv/.stamp
	PYTHONPATH=.:tests $(BIN)/python docs/pictured.py $(ARGS)

lock: .venv/.stamp
	$(BIN)/uv pip compile pyproject.toml --extra server --group dev --group docs --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock $(ARGS)

.venv/.stamp: requirements.lock pyproject.toml .ci/setup
	.ci/setup
