"""Writing that leaves either the whole new file or what was there before."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenunet.errors import OutputError


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """A temporary folder inside ``target`` whose entries move into it once the block ends without an error.

    Files and folders of the same names in ``target`` are replaced, one rename each, in order of name except that
    ``run.json`` comes last: where it stands, everything else does. After an error ``target`` is as it was.

    Raises:
        OutputError: where the folder cannot be written or its disk is full.
    """
    created = not target.exists()
    staging: Path | None = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target))
        yield staging
        for path in sorted(p for p in staging.rglob("*") if p.is_file()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        for entry in sorted(staging.iterdir(), key=lambda e: (e.name == "run.json", e.name)):
            destination = target / entry.name
            if destination.is_dir():
                shutil.rmtree(destination)
            os.replace(entry, destination)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Results cannot be written to {target}: {reason}.", "Choose another folder or make room on the disk."
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        if created and target.is_dir() and not any(target.iterdir()):
            target.rmdir()
