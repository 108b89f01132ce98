PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install demo figures test lint bench clean
install: $(VENV)/.installed

NATIVE := setup.py $(wildcard $(addprefix src/elite/native/,*.txt *.cpp *.h */*.cpp */*.h))

$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: install        ## render streets, train a teacher and a student, score another street, write a report
	$(BIN)/python examples/demo.py --out demo

figures: install     ## pictures and tables of the docs; requires the folder of make demo
	$(BIN)/python docs/figures/street.py
	$(BIN)/python docs/figures/windows.py
	$(BIN)/python docs/figures/pseudo_label.py
	$(BIN)/python -m experiments.tables

# A test file runs in one process, with the fixtures of its module. Compiled modules are kept for the commands that tests
# start, and for the next run.
test: install
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/codespell $$(git ls-files) && $(BIN)/python tools/check_language.py
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: install
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/lovasz.py
	$(BIN)/python benchmarks/precision.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/soak.py --count 2000
	$(BIN)/python benchmarks/geometry.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/occlusion.py
	$(BIN)/python benchmarks/stream.py
	$(BIN)/python benchmarks/past_scans.py
	$(BIN)/python benchmarks/recording.py
	$(BIN)/python benchmarks/teacher.py
	$(BIN)/python benchmarks/viewer.py

clean:
	rm -rf $(VENV) demo build src/elite/native/*.so
