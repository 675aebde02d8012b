PYTHON ?= python3
BIN := .venv/bin
# The tests run in as many processes as there are cores; each then computes with one thread.
export OMP_NUM_THREADS ?= 1

PIP := $(BIN)/pip install --disable-pip-version-check -c constraints.txt

.PHONY: install demo web docs test quick coverage slow clean

install: .venv/.installed

# What the commands need, and no more.
.venv/.demo: setup.py constraints.txt
	@echo 'Installing slmzoo and PyTorch into .venv: 1.8 GB to download, 5 GB on the disk. This takes 2 to 15 minutes.'
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@

.venv/.installed: .venv/.demo
	@echo 'Installing what the tests need into .venv: 0.5 GB to download, 1.3 GB on the disk.'
	$(PIP) -e '.[test]'
	touch $@

demo: .venv/.demo
	@mkdir -p demo-out
	env -u OMP_NUM_THREADS $(BIN)/slmzoo resynth examples/sample.wav --zoo demo --out demo-out > demo-out/sample.jsonl
	@echo 'The sentence: "My neighbor walks her dog along the river before sunrise." (examples/sample.wav)'
	@echo 'Made from its units: demo-out/sample.wav. Picture of both: demo-out/sample.png.'

.venv/.web: .venv/.demo
	$(PIP) -e '.[web]'
	touch $@

# A page to speak to, at http://127.0.0.1:8000.
web: .venv/.web
	env -u OMP_NUM_THREADS $(BIN)/slmzoo web

.venv/.docs: .venv/.demo
	$(PIP) -e '.[docs]'
	touch $@

# The documentation as a site, in build/site; a warning is an error.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -n auto --dist loadscope

# A minute of checks while one works: the bricks, the models of one layer, and the floors of the building.
QUICK := tests/test_architecture.py tests/dpdp tests/ellav tests/mistral_ulm tests/slmcore/layers tests/slmcore/clustering

quick: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n auto --dist loadscope $(QUICK)

coverage: install
	$(BIN)/python -m pytest -n auto --dist loadscope --cov --cov-report=term

slow: install
	$(BIN)/python -m pytest --slow -m slow

clean:
	rm -rf .venv demo-out build *.egg-info
