"""Writing that leaves either the whole new file or what was there before."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenunet.core.errors import OutputBusyError, OutputError

SAFE_NAME = re.compile(r"\w[\w .+-]*")
"""What may name a file or folder that is written: one part of a path, not hidden."""
STAGING_PREFIX = ".unfinished-"
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_LOCK = ".tokenunet.lock"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(text: str) -> str:
    """Return a text as the name of a file or folder that every system accepts, such as ``a_b`` for ``a/b``."""
    return "".join(c if c.isalnum() or c in "_ .+-" else "_" for c in text).strip(" .+-") or "scan"


def is_archive(path: Path) -> bool:
    """Return whether a file is named like an archive, such as ``study.zip``."""
    return path.name.lower().endswith(_ARCHIVES) and not path.name.startswith(".") and path.is_file()


def is_broken_link(path: Path) -> bool:
    """Return whether a path is a link to a missing file."""
    return path.is_symlink() and not path.exists()


def files_below(folder: Path) -> Iterator[Path]:
    """Iterate over the files of a folder and its subfolders, following links, without hidden files and broken links."""
    return (path for path in _entries_below(folder) if path.is_file())


def broken_links(folder: Path) -> list[Path]:
    """Return the broken links in a folder and its subfolders."""
    return [path for path in _entries_below(folder) if is_broken_link(path)]


def broken_link_text(link: Path) -> str:
    """Return the warning about a broken link."""
    return f"{link} was ignored: it is a link to {link.readlink()}, which does not exist."


def _entries_below(folder: Path) -> Iterator[Path]:
    visited: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        place = Path(root).resolve()
        if place in visited:  # a circle of links
            folders.clear()
            continue
        visited.add(place)
        folders.sort()
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: completely or not at all.

    Args:
        path: File to write or replace; its folder is created if needed.
        data: Content of the file.

    Raises:
        OutputError: If it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.", "Make room on the disk, or check its permissions."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Flush the renaming of a file to disk, if the system supports it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically; see `write_bytes`."""
    write_bytes(path, text.encode())


@contextmanager
def staging_folder(target: Path, replaces: tuple[str, ...] = (), last: str = "") -> Iterator[Path]:
    """Create a temporary folder inside ``target`` whose files move to ``target`` when the block ends without an error.

    After an error, ``target`` is unchanged. Staging folders of killed processes are removed; other files stay.

    Args:
        target: Folder for the results; created if needed.
        replaces: Patterns of earlier results in ``target``, which are removed before the new files are moved.
        last: Name of the file that is removed first and moved last, so that its presence shows that all files are
            complete.

    Raises:
        OutputError: If the folder cannot be written, or the disk is full.
    """
    created: list[Path] = []
    staging: Path | None = None
    try:
        created = _make_folder(target)
        remove_abandoned(target)
        staging = Path(tempfile.mkdtemp(prefix=f"{STAGING_PREFIX}{os.getpid()}-", dir=target))
        yield staging
        files = [path.relative_to(staging) for path in staging.rglob("*") if path.is_file()]
        for path in files:
            with (staging / path).open("rb+") as file:
                os.fsync(file.fileno())
        if last:
            (target / last).unlink(missing_ok=True)
        for path in [path for pattern in replaces for path in target.glob(pattern)]:
            path.unlink()
            for folder in path.parents:
                if folder == target or any(folder.iterdir()):
                    break
                folder.rmdir()
        for path in sorted(files, key=lambda path: (str(path) == last, path)):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).replace(target / path)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        _remove_if_empty(created)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other runs from writing into a folder; the system ends the lock with the process.

    Args:
        folder: Folder for results, created if needed and removed if it stays empty.

    Raises:
        OutputBusyError: If another run is writing there.
        OutputError: If the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # Slicer installs it at the first run only

    try:
        created = _make_folder(folder)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise OutputBusyError(
            f"{folder} is being written by another run.", "Choose another folder, or wait until that run has ended."
        ) from error
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / _LOCK).unlink()
        lock.release()
        _remove_if_empty(created)


def _make_folder(folder: Path) -> list[Path]:
    """Create a folder and return those that were missing, the innermost first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_if_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, as long as they are empty."""
    for folder in folders:
        if not folder.is_dir() or any(folder.iterdir()):
            break
        folder.rmdir()


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"Results cannot be written to {folder}: {error.strerror or error}.",
        "Choose another folder or make room on the disk.",
    )


def remove_abandoned(target: Path) -> None:
    """Remove the staging folders that killed processes have left in a folder."""
    import psutil  # Slicer installs it at the first run only

    for path in target.glob(f"{STAGING_PREFIX}*"):
        owner = path.name.removeprefix(STAGING_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
