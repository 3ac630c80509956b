# The two commands of the README. Both create .venv with pinned versions first; `demo` installs only what it needs, `test`
# adds the rest. Each has a stamp, so that they work in either order and install nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_EXTRAS := demo
EXTRAS := agents,bo,oracle,rtl,data,fast,onnx,jinja,distributed,multiagent,report,docs,dev

.PHONY: demo test slow lint types docs clean

demo: $(VENV)/.demo
	$(BIN)/accelgym search --set workload=mobilenet_v2 --set budget=0.05 --agent greedy --out results/first
	$(BIN)/accelgym bench experiments/configs/demo.yaml --out results/demo
	$(BIN)/accelgym report results/demo

# Workers take neighbouring tests, which share fixtures, and what the other has left at the end.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

slow: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m slow

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/python tools/check_types.py

docs: $(VENV)/.installed
	$(BIN)/python tools/write_api_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python tools/check_site.py build/site

define install
	$(PYTHON) -c 'import sys; sys.exit("AccelGym needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(1)]'
endef

$(VENV)/.demo: pyproject.toml constraints.txt
	$(call install,$(DEMO_EXTRAS))
	touch $@

# What the demo needs is in all extras together.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(call install,$(EXTRAS))
	touch $(VENV)/.demo $@

clean:
	rm -rf $(VENV) build dist docs/api *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
