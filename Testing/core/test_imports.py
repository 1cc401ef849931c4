"""What the library must not import: Slicer and Qt at all, and MONAI before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

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


def test_the_command_starts_without_monai() -> None:
    """It takes seconds to import, and segmenting in a single pass does without."""
    script = "import sys, tokenunet.cli; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
