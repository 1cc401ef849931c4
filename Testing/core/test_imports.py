"""What the library must not import: Slicer and Qt at all, and MONAI before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import tokenunet

PACKAGE = Path(tokenunet.__file__).parent


def test_the_library_imports_neither_slicer_nor_qt() -> None:
    forbidden = {"slicer", "qt", "ctk", "vtk", "TokenUNetSegmentationLib", "slicer_offscreen"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert not forbidden & {name.partition(".")[0] for name in names}, path


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"]])
def test_the_command_starts_with_what_it_needs(arguments: list[str]) -> None:
    """MONAI and SciPy take seconds to import, and segmenting in a single pass does without."""
    script = f"""
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from tokenunet.cli import main
main({arguments})
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = set(run.stdout.splitlines()[-1].split())
    assert "tokenunet.cli.segment" in modules
    assert not {"monai", "scipy"} & modules
    assert ("tokenunet.cli.train" in modules) == (arguments == ["--help"])
