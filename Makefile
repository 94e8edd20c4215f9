# One word per job; `make` alone lists them. Works with GNU make 3.81 (macOS) and later.
#
# Settings pass through the environment: `PORT=8001 make serve`, `make serve PORT=8001`,
# `MODEL_STORE=/srv/models make serve`. `PYTHON=python3.12 make serve` chooses the interpreter.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
ARGS   ?=
CLIENTS := tritonclient kserve mlflow schemathesis
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install serve train test test-live test-transformers clients lint lock up down clean

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

# The stamps make a second start quick: nothing is installed until the pins change.
$(VENV)/.installed: requirements.txt scripts/install.sh
	@PYTHON="$(PYTHON)" sh scripts/install.sh "$(VENV)" requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt scripts/install.sh
	@PYTHON="$(PYTHON)" sh scripts/install.sh "$(VENV)" requirements-dev.txt
	@touch $@

# Other serving systems' clients, for the live tests: each in an environment of its own.
.clients/%/.installed: tests/live/clients/%.txt scripts/install.sh
	@mkdir -p .clients && PYTHON="$(PYTHON)" sh scripts/install.sh ".clients/$*" $<
	@touch $@

install: $(VENV)/.installed ## make .venv and install the pinned packages

serve: $(VENV)/.installed ## serve on http://127.0.0.1:8000 (PORT=8001 changes it)
	@exec $(BIN)/python scripts/serve.py $(ARGS)

train: $(VENV)/.installed ## train a model: make train ARGS="--data my.csv --target label"
	@exec $(BIN)/python scripts/train.py $(ARGS)

# Tests side by side have one thread each: OpenMP's wait for one another at full speed.
test: $(VENV)/.installed-dev ## run the tests, but for the live ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --ignore=tests/live tests $(ARGS)

test-live: $(VENV)/.installed-dev ## run the tests that start real gunicorn, nginx, browsers and containers
	$(BIN)/python -m pytest tests/live $(ARGS)

# An environment of its own: the libraries of Hugging Face models are large, and nothing else needs them.
.venv-transformers/.installed: requirements-dev.txt requirements-transformers.txt scripts/install.sh
	@PYTHON="$(PYTHON)" sh scripts/install.sh .venv-transformers requirements-dev.txt
	@PYTHON="$(PYTHON)" sh scripts/install.sh .venv-transformers requirements-transformers.txt
	@touch $@

test-transformers: .venv-transformers/.installed ## run the tests of Hugging Face models, in .venv-transformers
	LIVE_REQUIRE=transformers .venv-transformers/bin/python -m pytest tests/live/test_transformers.py $(ARGS)

clients: $(CLIENTS:%=.clients/%/.installed) ## install other systems' clients, for the live tests

lint: $(VENV)/.installed-dev ## check style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The files keep their first lines (the comment) and, unless ARGS=--upgrade, the pins that still fit.
lock: $(VENV)/.installed-dev ## rewrite requirements*.txt from pyproject.toml (ARGS=--upgrade for newer ones)
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install -q uv
	@UV="$(BIN)/uv" sh scripts/lock.sh requirements.txt "--extra arrow" $(ARGS)
	@UV="$(BIN)/uv" sh scripts/lock.sh requirements-dev.txt "--extra arrow --extra dev" $(ARGS)
	@UV="$(BIN)/uv" sh scripts/lock.sh requirements-transformers.txt \
		"--extra arrow --extra transformers --constraint requirements-dev.txt" $(ARGS)

# `docker compose` where the plugin is there, else the older `docker-compose`.
COMPOSE = $$(docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

up: ## build the image and start gunicorn and nginx in containers, on http://127.0.0.1:8080
	@command -v docker >/dev/null || { echo "make up needs Docker with Compose; without it: make serve" >&2; exit 1; }
	@exec $(COMPOSE) up --build $(ARGS)

down: ## stop the containers; the models stay in their volume
	@exec $(COMPOSE) down $(ARGS)

clean: ## remove .venv, .clients and caches; models stay
	rm -rf "$(VENV)" .venv-transformers .clients .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
