PYTHON ?= python3
BIN := .venv/bin
# The tests run in as many processes as there are cores; each then computes with one thread.
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test slow clean

install: .venv/.installed

.venv/.installed: setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

demo: install
	env -u OMP_NUM_THREADS $(BIN)/slmzoo resynth examples/sample.wav --zoo demo --out demo-out

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -n auto --dist loadscope

slow: install
	$(BIN)/python -m pytest --slow -m slow

clean:
	rm -rf .venv demo-out build *.egg-info
