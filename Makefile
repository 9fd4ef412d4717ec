# make demo: the whole pipeline on the synthetic demo planet.   make test: the tests.   make check: what CI runs.
# make pictures: screenshots of the demo's pages for README and docs (needs Chromium), and the page of sample answers.
PYTHON ?= python3
PY := .venv/bin/python
DATA := data/demo
RUN := runs/demo

.PHONY: demo test check install pictures clean
.DELETE_ON_ERROR:

demo: predictions/demo/predictions.json $(RUN)/coverage.html $(RUN)/report.html
	@cat $(RUN)/evaluation_test.txt
	@echo
	@echo "The demo planet is synthetic: these figures say nothing about real photographs. Open in a browser:"
	@echo "  coverage    $(RUN)/coverage.html"
	@echo "  prediction  $$(ls predictions/demo/*.html | head -n 1)   (and $$(ls predictions/demo/*.html | wc -l) in all)"
	@echo "  report      $(RUN)/report.html"
	@echo "All figures of the evaluation: $(RUN)/evaluation_test.json"

test: .venv/.installed
	$(PY) -m pytest -n auto

check: .venv/.installed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/mypy --platform win32 --cache-dir .mypy_cache/win32
	.venv/bin/lint-imports
	$(PY) -m pytest -n auto

install: .venv/.installed

.venv/.installed: requirements.txt
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(DATA)/unthinned.parquet: | .venv/.installed
	$(PY) -m fetch demo --out $(DATA) --images 6000
	$(PY) -m fetch thin --data $(DATA)

$(RUN)/run.json: $(DATA)/unthinned.parquet
	$(PY) -m label_maps build --data $(DATA) --run $(RUN)

$(RUN)/joint.safetensors: $(RUN)/run.json
	$(PY) -m train joint train/recipes/demo.yaml --data $(DATA) --run $(RUN) --resume

$(RUN)/temperatures.json: $(RUN)/joint.safetensors
	$(PY) -m train calibrate --data $(DATA) --run $(RUN)

$(RUN)/evaluation_test.json: $(RUN)/temperatures.json
	$(PY) -m infer evaluate --data $(DATA) --run $(RUN) --split test >/dev/null

$(RUN)/report.html: $(RUN)/evaluation_test.json
	$(PY) -m viz report --run $(RUN) --data $(DATA) --out $@

$(RUN)/coverage.html: $(DATA)/unthinned.parquet
	$(PY) -m viz coverage --data $(DATA) --out $@

predictions/demo/predictions.json: $(RUN)/temperatures.json
	$(PY) -m infer predict $(DATA) --split test --limit 4 --run $(RUN) --out predictions/demo

pictures: demo
	$(PY) -m bench.pictures --run $(RUN) --predictions predictions/demo --out docs/pictures
	$(PY) -m bench.samples --data $(DATA) --run $(RUN)

clean:
	rm -rf data/demo runs/demo predictions/demo
