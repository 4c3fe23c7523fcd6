# make demo     the whole pipeline on this machine           make test    what CI runs
# make setup    .venv with locked versions (the others do it themselves; setup-gpu: the CUDA builds)
# make lint, make format, make lock                          another interpreter: make PYTHON=/path/to/python3.11 ...

WORKERS ?= 2
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

export RAY_USAGE_STATS_ENABLED := 0
export VLLM_NO_USAGE_STATS := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: demo test setup setup-gpu lint format lock

demo: setup
	@$(BIN)/python -m tailor_rl run recipes/demo.toml

# Threads: torch and vLLM spin on every core they see; two such processes on two cores are four times slower.
# Offline: no test may depend on a hub. Two files at a time: a test of real parts takes about a core and 6 GB, and Ray's
# workers, nice by default, would starve beside the other one's.
test: export OMP_NUM_THREADS := 1
test: export HF_HUB_OFFLINE := 1
test: export RAY_worker_niceness := 0
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/integration tests/unit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup:
	$(if $(PYTHON),,$(error Python 3.11 is needed and neither python3.11 nor python3 was found: install python3.11))
	@$(PYTHON) scripts/setup_environment.py

setup-gpu:
	@$(PYTHON) scripts/setup_environment.py --flavour gpu

lock: setup
	$(BIN)/python scripts/lock.py
