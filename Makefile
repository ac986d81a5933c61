PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN = $(PYTHON) setup_env.py
# A file stays with its worker, so that an engine is opened once; a worker computes with one thread.
PARALLEL = -n logical --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all lint exam lock clean bench-training

demo: ## finetune the embedded model with LoRA and score it
	$(RUN) benchbench run --method lora --tasks super-ni

test: lint ## everything CI checks
	$(RUN) pytest $(PARALLEL)

test-all: lint ## the slow tests too, and the exam of every method
	$(RUN) pytest --whole $(PARALLEL)

lint: ## format, style, types and floors
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports

exam: ## check every method, as strangers' methods are checked, and write their page
	$(RUN) benchbench check --all --matrix docs/methods.md

bench-training: ## time training beside a plain Trainer and a bare loop
	$(RUN) python benchmarks/training.py

lock: ## pin the newest versions that fit pyproject.toml and requirements/*.in
	$(PYTHON) requirements/make_locks.py

clean: ## remove the environment and what tools left; keeps runs/
	rm -rf .venv .venv.busy build dist *.egg-info .hypothesis .*_cache
