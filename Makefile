# make demo     install into .venv, code and decode a photo, look at the result
# make test     everything that must pass: lint, types, import rules, tests (CALOTYPE_SLOW=1: slow ones too)
# make results  measure on Kodak, McMaster and Urban into docs/results (needs CALOTYPE_DATA, see docs/howto/measure.md)
# make survey   one model of each class of codecs on some pictures of Kodak, into docs/explain/survey.md
# make bench    speed of the entropy coder          make fuzz  a longer fuzz run of the native kernels
# make wheel    wheel and sdist into dist, the same bytes of each commit      make reproducible  makes both twice and compares
# make wheel-test  the wheel in an environment of its own       make arm64  the kernels on an emulated ARM64 processor
# make docs     the docs site, build/docs/index.html   make clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
QUALITY ?= 30
FUZZ_SECONDS ?= 60
SETS ?= kodak mcmaster urban
# Not fit.photo, which takes minutes to encode a picture: docs/explain/fit.md has its figures.
MODELS ?= vae.swift,vae.swift-ms-ssim,rnn.compact,l3c.compact,nearlossless.compact,prism.photo,prism.photo@1,prism.photo@3,prism.photo@7,prism.photo@9,prism.photo@1@max_error,prism.photo@max_error,nearlossless.compact@max_error
# `all` adds HEIC and the slow efforts of AVIF and JPEG XL.
RIVALS ?= usual,jpeg-444,lossless,jpegls-near,jpegls-near-green,jxl-near
METRICS ?= psnr,psnr_y,ms_ssim,largest_error
SPEED ?= vae.swift,prism.photo,prism.photo@1,prism.photo@7,jpeg-420,webp,avif-444-s6,jxl-e7,png,jxl-lossless-e3,jxl-lossless-e5,jxl-lossless-e7,jpegls-green

# Folder with the images for measuring; optional, what needs it says so.
CALOTYPE_DATA ?= $(abspath $(wildcard ../shared/data))
export CALOTYPE_DATA

BUILT_FROM := pyproject.toml setup.py $(foreach folder,coding codecs/*,$(wildcard $(addprefix src/calotype/$(folder)/,build.py kernel/*)))
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test lint results survey bench fuzz wheel reproducible wheel-test arm64 docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.core
	@mkdir -p demo
	$(BIN)/calotype encode samples/coffee.png -o demo/coffee.calo -q $(QUALITY) -f
	$(BIN)/calotype decode demo/coffee.calo -o demo/coffee.png -f
	$(BIN)/calotype compare samples/coffee.png demo/coffee.png
	$(BIN)/python samples/side_by_side.py samples/coffee.png demo/coffee.calo demo/side-by-side.png

test: export OMP_NUM_THREADS = 1  # each worker has a core; more threads wait for each other
test: lint
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

results: $(VENV)/.dev
	$(BIN)/calotype bench $(SETS:%=$(CALOTYPE_DATA)/eval/%) --codecs $(MODELS) --rivals $(RIVALS) --metrics $(METRICS) --no-files --out docs/results --speed $(SPEED)
	$(BIN)/python -m calotype.evaluate docs/results --install . --readme README.md --cards

SURVEYED ?= 01 05 09 13 17 21
survey: $(VENV)/.dev
	$(BIN)/calotype bench $(SURVEYED:%=$(CALOTYPE_DATA)/eval/kodak/%.png) --survey --qualities 0,15,30,45,60,80 --codecs vae.factorized-compact,vae.hyperprior-compact,vae.hific-compact-gan,rnn.compact,vae.swift,fit.photo@1 --rivals jpeg-420,webp,avif-444-s6,jxl-e7 -j 1 --out build/survey --page docs/explain/survey.md

bench: $(VENV)/.dev
	$(BIN)/python -m pytest tests/benchmarks/bench_*.py --benchmark-columns=min,median,ops

fuzz: $(VENV)/.dev
	CALOTYPE_FUZZ_SECONDS=$(FUZZ_SECONDS) CALOTYPE_FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest tests/test_fuzz.py -s

wheel: $(VENV)/.core
	$(PIP) install build
	PYTHON=$(BIN)/python sh tools/make_wheel.sh dist

reproducible: $(VENV)/.core
	$(PIP) install build
	PYTHON=$(BIN)/python sh tools/make_wheel.sh dist
	PYTHON=$(BIN)/python sh tools/make_wheel.sh build/again
	cd dist && for file in *; do cmp "$$file" "../build/again/$$file" || exit 1; done
	@echo "two builds, the same bytes"

wheel-test:
	rm -rf build/fresh && $(PYTHON) -m venv build/fresh
	build/fresh/bin/python -m pip --disable-pip-version-check -q install dist/*.whl
	build/fresh/bin/calotype encode samples/coffee.png -o build/fresh/coffee.calo -f
	build/fresh/bin/calotype decode build/fresh/coffee.calo -o build/fresh/coffee.png -f
	du -sh build/fresh
	build/fresh/bin/python -m pip --disable-pip-version-check -q install pytest
	cd tests && ../build/fresh/bin/python -m pytest -q --noconftest -p no:cacheprovider golden

arm64:
	sh tools/arm64.sh

docs: $(VENV)/.dev
	$(BIN)/python docs/reference/generate.py
	$(BIN)/python -m sphinx -q -E -W --keep-going docs build/docs

clean:
	rm -rf build dist demo src/*.egg-info src/calotype/coding/*.so src/calotype/codecs/*/*.so

# --- environments: made once, made anew when what they are built from changes --------------------------------------

$(VENV)/.core: $(BUILT_FROM) | $(BIN)/python
	$(PIP) install -e .
	@touch $@

# torch by itself first: where a file for processors only is offered, this finds it.
$(VENV)/.dev: $(BUILT_FROM) | $(BIN)/python
	@echo "bringing PyTorch, ray and others into $(VENV): about 6 GB on a machine with CUDA, once"
	$(PIP) install --no-compile torch==2.13.0
	$(PIP) install --no-compile -e '.[train,bench,bulk,rdp,dev,docs]'
	@touch $@ $(VENV)/.core

$(BIN)/python:
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh tools/make_venv.sh
