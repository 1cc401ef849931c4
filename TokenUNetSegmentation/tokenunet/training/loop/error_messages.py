"""User errors from the exceptions that PyTorch and the system raise during a training."""

import time
from contextlib import suppress
from pathlib import Path

from tokenunet.core.errors import OutOfMemoryError, OutputError, TokenUNetError, TrainingError
from tokenunet.runtime.device import is_out_of_memory


def user_error(error: Exception, folder: Path, device: str, architecture: str) -> TokenUNetError | None:
    """Return the error for the user that corresponds to an exception; None if there is none.

    Args:
        error: Exception raised while a fold was trained.
        folder: Folder of the fold.
        device: Device of the training.
        architecture: Architecture of the network.
    """
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"There is not enough memory on {device} to train {architecture}.",
            "Close other programs and use --resume, or start again with smaller patches.",
        )
    if _lost_a_worker(error):
        return TrainingError(
            "A process that loads training patches died.",
            "Use --resume to continue from the last checkpoint; if it happens again, use --set workers=0.",
        )
    if isinstance(error, OSError):
        return OutputError(
            f"{folder} cannot be written: {error.strerror or error}.",
            "Make room on the disk, then use --resume to continue from the last checkpoint.",
        )
    return None


def _lost_a_worker(error: Exception) -> bool:
    """Return whether a data loading process died: PyTorch noticed, or its connection broke before that."""
    if isinstance(error, RuntimeError):
        return "DataLoader worker" in str(error)
    lost = isinstance(error, ConnectionError | EOFError)
    lost |= isinstance(error, FileNotFoundError) and error.filename is None  # a socket; files have names
    if lost:
        with suppress(RuntimeError):  # PyTorch's signal handler reports the same shortly after
            time.sleep(1)
    return lost
