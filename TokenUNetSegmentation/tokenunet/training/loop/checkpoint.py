"""Checkpoints with the whole state of a training, written atomically; the last two are kept."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from tokenunet.core.errors import TrainingError
from tokenunet.io.files import write_bytes

_KEPT = 2
"""Two, since the newest may turn out to be damaged."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Args:
        path: File to write or replace.
        state: Tensors, numbers, text, and containers of them.

    Raises:
        OutputError: If it cannot be written; an earlier file stays.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain containers are ever unpickled."""
    return torch.load(path, map_location="cpu", weights_only=True)


def save_newest(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the checkpoint of a step, and remove all but the last two.

    Args:
        folder: Folder of the checkpoints.
        step: Number of completed steps.
        state: State, as for `save_checkpoint`.

    Raises:
        OutputError: If it cannot be written.
    """
    save_checkpoint(folder / f"step_{step:08d}.pt", state)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()


def load_newest(folder: Path) -> dict[str, Any] | None:
    """Read the newest checkpoint that is not damaged.

    Args:
        folder: Folder of the checkpoints.

    Returns:
        State of the training; None if there is no checkpoint.

    Raises:
        TrainingError: If there are checkpoints, but all are damaged.
    """
    checkpoints = _newest_first(folder)
    for path in checkpoints:
        if _intact(path):
            return load_checkpoint(path)
    if checkpoints:
        raise TrainingError(
            f"All checkpoints in {folder} are damaged.", "Delete the fold's folder to train it from the beginning."
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"), reverse=True)


def _intact(path: Path) -> bool:
    """Return whether every entry of a checkpoint matches its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False
