# `make demo` and `make test` set up all they need: a virtual environment in .venv and, where a Debian-like system
# lacks them, the graphics libraries that off-screen rendering uses.

PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
# What VTK needs to render without a display, and Qt to draw widgets; the tests check DICOM files with dicom3tools.
LIBRARIES := libegl1 libegl-mesa0 libgl1-mesa-dri libxkbcommon0 libdbus-1-3 libfontconfig1 fonts-dejavu-core dicom3tools
# The archive that tests send to; its package starts a server, so it is installed only if asked for.
ARCHIVE := orthanc orthanc-dicomweb
# Another process may hold apt's lock for a while.
APT_OPTIONS := -o DPkg::Lock::Timeout=300
ifeq ($(shell uname -s),Linux)
export VTK_DEFAULT_OPENGL_WINDOW := vtkEGLRenderWindow
endif

# Of the tests; each computes with one thread, and takes whole files of tests in turn, the slow ones first.
PROCESSES := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint coverage docs package extension self-tests libraries archive screenshots clean

demo: .venv/ready
	$(BIN)/tokenunet demo --output demo --force

test: lint
	$(BIN)/python -m pytest $(PROCESSES)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The floor is `fail_under` in pyproject.toml.
coverage: .venv/ready
	$(BIN)/python -m pytest $(PROCESSES) --cov --cov-report=term:skip-covered

docs: .venv/docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pip package, in dist/.
package: .venv/ready
	$(BIN)/python -m hatchling build -d dist

# The Slicer extension: make extension SLICER_BUILD=/path/to/Slicer-build
extension:
	cmake -S . -B build/extension -DSlicer_DIR=$(SLICER_BUILD)
	cmake --build build/extension --target package

# The modules' own tests in the application: make self-tests SLICER=/path/to/Slicer
self-tests:
	for module in TokenUNetSegmentation TokenUNetTraining; do \
		$(SLICER) --testing --no-splash --no-main-window \
			--additional-module-paths TokenUNetSegmentation TokenUNetTraining --python-code \
			"import slicer.testing; slicer.testing.runUnitTest(['$$module'], '$$module')" || exit 1; \
	done

libraries:
	apt-get $(APT_OPTIONS) update -q && apt-get $(APT_OPTIONS) install -qy --no-install-recommends $(LIBRARIES)

archive:
	apt-get $(APT_OPTIONS) update -q && apt-get $(APT_OPTIONS) install -qy --no-install-recommends $(ARCHIVE)

.venv/ready: pyproject.toml Testing/constraints.txt Makefile
	@if command -v apt-get >/dev/null && ! dpkg -s $(LIBRARIES) >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ]; then $(MAKE) libraries; \
		else echo "Rendering needs: sudo make libraries"; fi; \
	fi
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c Testing/constraints.txt -e '.[test]'
	touch $@

.venv/docs-ready: .venv/ready
	$(BIN)/pip install -q -c Testing/constraints.txt -e '.[docs]'
	touch $@

# The pictures of README.md and docs/.
PICTURES := docs/pictures
screenshots: demo
	$(BIN)/python tools/draw_pictures.py demo $(PICTURES)
	$(BIN)/python -m tools.draw_failures $(PICTURES)
	$(BIN)/python Testing/host/draw_panel.py build/panels
	for state in empty ready running done; do cp build/panels/$$state.png $(PICTURES)/panel_$$state.png; done
	cp build/panels/training_panel.png $(PICTURES)

clean:
	rm -rf .venv demo build dist
