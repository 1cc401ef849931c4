"""Check of DICOM files against the standard, by dciodvfy of the package dicom3tools."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy of the package dicom3tools checks DICOM objects"
)


def complaints(path: Path, about: str) -> list[str]:
    """Errors and warnings about a file, which must be recognized as an object of this kind."""
    result = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
    assert about in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith(("Error", "Warning"))]
