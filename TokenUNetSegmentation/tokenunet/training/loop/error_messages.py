"""Errors of a training in the words of a user."""

import time
from contextlib import suppress
from pathlib import Path

from tokenunet.core.errors import OutOfMemoryError, OutputError, TokenUNetError, TrainingError
from tokenunet.runtime.device import is_out_of_memory


def explained(error: Exception, folder: Path, device: str, architecture: str) -> TokenUNetError | None:
    """The error as a user can understand it, where it is one that happens to users.

    Args:
        error: raised while a fold was trained.
        folder: of the fold.
        device: it was trained on.
        architecture: of its network.
    """
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"There is not enough memory on {device} to train {architecture}.",
            "Close other programs and --resume, or begin anew with smaller patches.",
        )
    if _lost_a_worker(error):
        return TrainingError(
            "A process that makes training patches died.",
            "--resume goes on from the last checkpoint; if it happens again, use --set workers=0.",
        )
    if isinstance(error, OSError):
        return OutputError(
            f"{folder} cannot be written: {error.strerror or error}.",
            "Make room on the disk; --resume goes on from the last checkpoint.",
        )
    return None


def _lost_a_worker(error: Exception) -> bool:
    """Whether the process that patches come from is gone: PyTorch noticed, or talking to it failed before that."""
    if isinstance(error, RuntimeError):
        return "DataLoader worker" in str(error)
    lost = isinstance(error, ConnectionError | EOFError)
    lost |= isinstance(error, FileNotFoundError) and error.filename is None  # its socket; files have names
    if lost:
        with suppress(RuntimeError):  # by which PyTorch then says the same, in the midst of whatever goes on
            time.sleep(1)
    return lost
