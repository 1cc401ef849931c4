# `make demo` and `make test` set up all they need: a virtual environment in .venv and, where a Debian-like system
# lacks them, the graphics libraries that off-screen rendering uses.

PYTHON ?= python3
BIN := .venv/bin
# What VTK needs to render without a display, and Qt to draw widgets; the tests check DICOM files with dicom3tools.
LIBRARIES := libegl1 libegl-mesa0 libgl1-mesa-dri libxkbcommon0 libdbus-1-3 libfontconfig1 fonts-dejavu-core dicom3tools
export VTK_DEFAULT_OPENGL_WINDOW := vtkEGLRenderWindow

.PHONY: demo test lint screenshots clean

demo: .venv/ready
	$(BIN)/tokenunet demo --output demo --force

test: lint
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ready: pyproject.toml Testing/constraints.txt Makefile
	@if command -v apt-get >/dev/null && ! dpkg -s $(LIBRARIES) >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -qy --no-install-recommends $(LIBRARIES); \
		else echo "Rendering needs: sudo apt-get install $(LIBRARIES)"; fi; \
	fi
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c Testing/constraints.txt -e '.[test]'
	touch $@

# The pictures of README.md.
screenshots: demo
	$(BIN)/python Resources/Screenshots/draw.py demo
	$(BIN)/python Testing/host/draw_panel.py build/panels
	cp build/panels/panel.png build/panels/training_panel.png Resources/Screenshots

clean:
	rm -rf .venv demo
