"""The whole state of a training in a file, written in one step; the last two are kept."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from tokenunet.core.errors import TrainingError
from tokenunet.io.files import write_bytes

_KEPT = 2
"""The newest may turn out to be damaged."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes ``state``: tensors, numbers, text, and containers of them.

    Raises:
        OutputError: where it cannot be written; what was there before stays.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote; never unpickles anything but tensors and plain containers."""
    return torch.load(path, map_location="cpu", weights_only=True)


def save_newest(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Writes a checkpoint of that step beside the last one and removes older ones.

    Raises:
        OutputError: as for `save_checkpoint`.
    """
    save_checkpoint(folder / f"step_{step:08d}.pt", state)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()


def load_newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that is not damaged; None where there is none.

    Raises:
        TrainingError: where there are checkpoints, but all are damaged.
    """
    checkpoints = _newest_first(folder)
    for path in checkpoints:
        if _intact(path):
            return load_checkpoint(path)
    if checkpoints:
        raise TrainingError(
            f"All checkpoints in {folder} are damaged.", "Delete that fold's folder to train it from the beginning."
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"), reverse=True)


def _intact(path: Path) -> bool:
    """Whether every entry of the file has the checksum that it was written with."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False
