"""The files of a foreign model: a folder, or a zip that is never unpacked by its own names."""

import json
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from tokenunet.core.errors import ModelError, UnsafeBundleError

_LARGEST_TEXT = 2**25
_LARGEST_CHECKPOINT = 2**32
_MOST_ENTRIES = 10_000
_AGAIN = "Get the model again from where it came from."


class ModelFiles(Protocol):
    """Files of a model by their paths relative to its folder."""

    source: str
    names: tuple[str, ...]

    def text(self, name: str) -> str:
        """Return the text of a small file."""

    @contextmanager
    def checkpoint(self, name: str, temporary: Path) -> Iterator[Path]:
        """Provide a checkpoint as a file on the disk."""
        yield Path()


class FolderFiles:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.source = str(folder)
        self._folder = folder
        found = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
        self.names = tuple(sorted(path.relative_to(folder).as_posix() for path in found if path.is_file()))

    def text(self, name: str) -> str:
        """Return the text of a small file."""
        path = self._folder / name
        if path.stat().st_size > _LARGEST_TEXT:
            raise UnsafeBundleError(f"{path} is larger than a description may be ({_LARGEST_TEXT} bytes).", _AGAIN)
        return path.read_text(encoding="utf-8")

    @contextmanager
    def checkpoint(self, name: str, temporary: Path) -> Iterator[Path]:
        """Provide a checkpoint as it is."""
        path = self._folder / name
        if path.stat().st_size > _LARGEST_CHECKPOINT:
            raise UnsafeBundleError(f"{path} is larger than a checkpoint may be ({_LARGEST_CHECKPOINT} bytes).", _AGAIN)
        yield path


class ZipFiles:
    """The files of a zip; those below its one folder, if it has nothing else."""

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise ModelError(f"{path} cannot be read: {error}", _AGAIN) from error
        if len(entries) > _MOST_ENTRIES:
            raise UnsafeBundleError(f"{path} holds {len(entries)} files, more than a model has.", _AGAIN)
        for entry in entries:
            location = PurePosixPath(entry.filename.replace("\\", "/"))
            if location.is_absolute() or ".." in location.parts or ":" in entry.filename:
                raise UnsafeBundleError(f"{path} holds {entry.filename!r}, a path that leaves the archive.", _AGAIN)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise UnsafeBundleError(f"{path} holds {entry.filename!r}, a link.", _AGAIN)
        files = [entry for entry in entries if not entry.is_dir()]
        self._prefix = _common_folder([entry.filename for entry in files])
        self._entries = {entry.filename.removeprefix(self._prefix): entry for entry in files}
        self.names = tuple(sorted(self._entries))

    def text(self, name: str) -> str:
        """Return the text of a small file."""
        self._check(name, _LARGEST_TEXT)
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(self._entries[name]) as file:
                return file.read(_LARGEST_TEXT).decode("utf-8")
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise ModelError(f"{name} in {self._path} cannot be read: {error}", _AGAIN) from error

    @contextmanager
    def checkpoint(self, name: str, temporary: Path) -> Iterator[Path]:
        """Provide a checkpoint as a file of a name of our own, for as long as it is needed."""
        self._check(name, _LARGEST_CHECKPOINT)
        copy = temporary / "checkpoint"
        try:
            with (
                zipfile.ZipFile(self._path) as archive,
                archive.open(self._entries[name]) as file,
                copy.open("wb") as target,
            ):
                shutil.copyfileobj(file, target)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise ModelError(f"{name} in {self._path} cannot be read: {error}", _AGAIN) from error
        try:
            yield copy
        finally:
            copy.unlink()

    def _check(self, name: str, largest: int) -> None:
        size = self._entries[name].file_size
        if size > largest:
            raise UnsafeBundleError(f"{name} in {self._path} claims {size} bytes; {largest} are allowed.", _AGAIN)


def _common_folder(names: list[str]) -> str:
    first = {name.split("/")[0] for name in names}
    return f"{first.pop()}/" if len(first) == 1 and all("/" in name for name in names) else ""


def open_model(path: Path) -> ModelFiles:
    """Return the files of a model folder or zip.

    Raises:
        ModelError: If there is none.
        UnsafeBundleError: If a zip holds links or paths that leave it.
    """
    if path.is_dir():
        return FolderFiles(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return ZipFiles(path)
    raise ModelError(f"{path} is neither a model folder nor a .zip file.", "Check the path.")


def read_json(files: ModelFiles, name: str) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        ModelError: If there is no such file, or it holds no JSON object.
    """
    if name not in files.names:
        raise ModelError(f"{files.source} has no {name}.", "Copy the whole model folder.")
    try:
        values = json.loads(files.text(name))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} of {files.source} is no valid JSON: {error}", _AGAIN) from error
    except OSError as error:
        raise ModelError(f"{name} of {files.source} cannot be read: {error.strerror}", "Check its rights.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{name} of {files.source} does not hold a JSON object.", _AGAIN)
    return values
