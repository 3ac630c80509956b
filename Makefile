# The two commands of the README. Both create .venv with pinned versions first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := agents,bo,oracle,rtl,data,fast,onnx,jinja,distributed,multiagent,report,docs,dev

.PHONY: demo test slow lint types clean

demo: $(VENV)/.installed
	$(BIN)/accelgym bench experiments/configs/demo.yaml --out results/demo
	$(BIN)/accelgym report results/demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n 2

slow: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n 2 -m slow

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/python tools/check_types.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("AccelGym needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
