"""File systems that cannot be written, for real: superusers are not stopped by a folder's permissions."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory of its own; skips the test where it cannot be mounted.

    Args:
        folder: exists.
        options: of ``mount``, such as ``size=1m`` or ``ro``.
    """
    possible = os.name == "posix" and shutil.which("mount") and os.geteuid() == 0
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not possible or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs the superuser")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder in which nothing can be made: by its permissions, or mounted so for the superuser."""
    if os.name == "posix" and os.geteuid() == 0:
        with mounted(folder, "ro"):
            yield folder
        return
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        yield folder
    finally:
        folder.chmod(stat.S_IRWXU)
