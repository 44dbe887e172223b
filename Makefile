# `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
JOBS ?= 2

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/run.done: requirements.txt pyproject.toml infra/venv.sh
	@sh infra/venv.sh run

.venv/dev.done: requirements-dev.txt .venv/run.done
	@sh infra/venv.sh dev

.PHONY: run
run: .venv/run.done ## set up, start the exchange, play the path, go on serving
	@$(BIN)/exchange run

.PHONY: test
test: .venv/dev.done ## set up and run the tests (services by `make infra` where there are any)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n $(JOBS) --dist loadfile)

.PHONY: check
check: .venv/dev.done ## formatting, lint, types, import contracts, policies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python policies/build.py --check

.PHONY: policies
policies: .venv/dev.done ## rebuild the compiled policies from source (needs OPA: make infra)
	$(BIN)/python policies/build.py

.PHONY: infra
infra: ## bring OPA, PostgreSQL, fsck, S3 stores, OAuth clients into .tools (needs Go, npm)
	@python3 infra/setup.py

.PHONY: bench
bench: .venv/dev.done ## requests, grants, decisions a second, and searches, on SQLite and PostgreSQL
	$(BIN)/python -m tests.benchmarks.bench_ledger
	$(BIN)/python -m tests.benchmarks.bench_requests
	$(BIN)/python -m tests.benchmarks.bench_policy
	$(BIN)/python -m tests.benchmarks.bench_search
	$(BIN)/python -m tests.benchmarks.bench_log
	$(BIN)/python -m tests.benchmarks.bench_gateway
	$(BIN)/python -m tests.benchmarks.bench_gateway --profile
	$(BIN)/python -m tests.benchmarks.bench_revocation
	$(BIN)/python -m tests.benchmarks.bench_tokens
	$(BIN)/python -m tests.benchmarks.bench_tokens --profile granted
	$(BIN)/python -m tests.benchmarks.bench_tokens --profile standing

.PHONY: campaign
campaign: .venv/dev.done ## long fault, fuzz and memory runs (an hour or more)
	$(BIN)/python -m tests.campaigns.kills --kills 500
	$(BIN)/python -m tests.campaigns.call_kills --kills 500
	$(BIN)/python -m tests.campaigns.quota_edge --rounds 100
	$(BIN)/python -m tests.campaigns.fuzz_routes
	$(BIN)/python -m tests.campaigns.fuzz_oauth
	$(BIN)/python -m tests.campaigns.policy_memory
	$(BIN)/python -m tests.campaigns.races 200
	$(BIN)/python -m tests.campaigns.stories
	$(BIN)/python -m tests.campaigns.big_objects
	$(BIN)/python -m tests.campaigns.big_calls
	$(BIN)/python -m tests.campaigns.status_latency
	$(BIN)/python -m tests.campaigns.threats

.PHONY: requirements
requirements: .venv/dev.done ## pin the dependencies anew, by hash
	$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --extra server --extra cli --extra sample --extra build -o requirements.txt pyproject.toml
	$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --extra server --extra cli --extra sample --extra build --extra dev -o requirements-dev.txt pyproject.toml
	$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header -o tests/foreign/python/requirements.txt tests/foreign/python/requirements.in

.PHONY: clean
clean: ## remove the virtual environment and caches; state/ and demo/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
