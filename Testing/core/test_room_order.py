"""Rooms of the library depend downwards only, so that no two of them need each other."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tokenunet

PACKAGE = Path(tokenunet.__file__).parent
ROOMS = (
    *("core", "measurement", "io", "networks", "review", "runtime", "study", "preprocessing", "report", "dicom_out"),
    *("bundle", "synthesis", "data", "inference", "followup", "evaluation", "training", "benchmark", "cli"),
)
"""From the lowest to the highest; a room imports only those before it."""
WITHOUT_TORCH = ("tokenunet.networks.registry", "tokenunet.bundle.manifest", "tokenunet.bundle.store")


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "tokenunet" and rest:
                yield rest.partition(".")[0]


def test_rooms_are_all_in_order() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_depends_downwards_only(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in (PACKAGE / room).rglob("*.py"):
        assert set(imported_rooms(path)) <= allowed, path


def test_core_registry_and_manifest_import_without_torch() -> None:
    core = [f"tokenunet.core.{path.stem}" for path in (PACKAGE / "core").glob("*.py") if path.stem != "__init__"]
    script = (
        f"import sys, importlib; [importlib.import_module(m) for m in {[*core, *WITHOUT_TORCH]}];"
        " sys.exit(bool({'torch', 'monai'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
