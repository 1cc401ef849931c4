"""What the library imports when it is loaded is installed with it."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import tokenunet

PACKAGE = Path(tokenunet.__file__).parent
PROJECT = PACKAGE.parents[1] / "pyproject.toml"
FILES_OF_EXTRAS = {
    "matplotlib": (
        "benchmark/figure.py",
        "evaluation/evidence_figures.py",
        "followup/pdf.py",
        "io/figures.py",
        "report/",
        "training/report/",
    ),
    **dict.fromkeys(("highdicom", "pynetdicom", "dicomweb_client", "requests"), ("dicom_out/",)),
    "lightning_fabric": ("training/loop/",),
    "ray": ("inference/batch/cluster.py", "runtime/ray.py", "training/cluster.py"),
}
"""Files that are loaded only by commands whose extra the user has installed."""


def imported_at_load(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports outside of functions."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def required_packages() -> set[str]:
    requirements = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    return {requirement.partition(">")[0].strip() for requirement in requirements}


def test_imports_are_installed_with_the_package() -> None:
    known = required_packages() | sys.stdlib_module_names | {"tokenunet"}
    missing = [
        (place, name)
        for path in PACKAGE.rglob("*.py")
        for name in imported_at_load(path)
        if (package := name.partition(".")[0]) not in known
        and not (place := path.relative_to(PACKAGE).as_posix()).startswith(FILES_OF_EXTRAS.get(package, "?"))
    ]
    assert missing == []
