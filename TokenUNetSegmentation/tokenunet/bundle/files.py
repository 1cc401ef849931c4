"""Reading of the files of a model bundle, without PyTorch."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tokenunet.bundle.manifest import MANIFEST_NAME
from tokenunet.core.errors import ModelError, UnsafeBundleError

WEIGHTS_NAME = "weights.safetensors"
PROBE_NAME = "probe.safetensors"
CARD_NAME = "card.md"
SIZE_LIMITS = {MANIFEST_NAME: 2**20, WEIGHTS_NAME: 2**30, PROBE_NAME: 2**20}
"""Largest size of each file in bytes."""
_OPTIONAL = (PROBE_NAME,)


def read_bundle_files(path: Path) -> dict[str, bytes]:
    """Read the files of a bundle folder or .zip file, without interpreting them.

    Args:
        path: Bundle folder or .zip file.

    Returns:
        Content of ``model.json``, ``weights.safetensors`` and, if there is one, ``probe.safetensors`` by file name.

    Raises:
        ModelError: If a file is missing or unreadable.
        UnsafeBundleError: If an archive contains links, paths that leave it, or entries beyond the size limits.
    """
    if path.is_dir():
        return _read_folder(path)
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    raise ModelError(f"{path} is neither a model folder nor a .zip file.", "Run: tokenunet models list")


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for name, limit in SIZE_LIMITS.items():
        file = folder / name
        if not file.is_file():
            if name in _OPTIONAL:
                continue
            raise ModelError(f"{folder} is not a model: it has no {name}.", "Run: tokenunet models list")
        if file.stat().st_size > limit:
            raise UnsafeBundleError(f"{file} is larger than the limit of {limit} bytes.", "Get the model again.")
        files[name] = file.read_bytes()
    return files


def _read_zip(path: Path) -> dict[str, bytes]:
    """Read the files of a zipped bundle, at its top level or in one folder."""
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                location = PurePosixPath(entry.filename.replace("\\", "/"))
                if location.is_absolute() or ".." in location.parts or ":" in entry.filename:
                    raise UnsafeBundleError(f"{path} contains {entry.filename!r}, a path that leaves the archive.")
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise UnsafeBundleError(f"{path} contains {entry.filename!r}, a link.")
                if entry.is_dir() or location.name not in SIZE_LIMITS or len(location.parts) > 2:
                    continue
                if entry.file_size > SIZE_LIMITS[location.name]:
                    raise UnsafeBundleError(f"{path} contains {entry.filename!r}, which is larger than a model may be.")
                if location.name in files:
                    raise UnsafeBundleError(f"{path} contains {location.name} twice.")
                files[location.name] = archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Get the model again from its source.") from error
    for name in SIZE_LIMITS:
        if name not in files and name not in _OPTIONAL:
            raise ModelError(f"{path} is not a model: it has no {name}.")
    return files
