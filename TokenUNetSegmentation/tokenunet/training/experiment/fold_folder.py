"""Files of one fold of an experiment, and logs."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

StopWhen = Literal["epoch", "now"]
"""Request to stop: after the epoch, or as soon as the state is saved."""

LAST_WEIGHTS = "last.safetensors"


class FoldFolder:
    """Files of one fold of one architecture.

    Args:
        folder: Folder of the fold, two levels below the experiment's.
        architecture: Name of the architecture in the experiment, with its stage if it is trained in stages.
        fold: Number of the fold, from 0.
    """

    def __init__(self, folder: Path, architecture: str, fold: int) -> None:
        self.folder = folder
        self.architecture = architecture
        self.fold = fold
        self.log = folder / "log.jsonl"
        self.checkpoints = folder / "checkpoints"
        self.best_weights = folder / "best.safetensors"
        self.last_weights = folder / LAST_WEIGHTS
        self.predictions = folder / "validation"
        self.metrics = folder / "metrics.json"
        self.tensorboard = folder / "tensorboard"

    @property
    def experiment(self) -> Path:
        """Folder of the experiment."""
        return self.folder.parent.parent

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint."""
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    @property
    def finished(self) -> bool:
        """Whether the fold has been trained and evaluated."""
        return self.metrics.exists()

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the complete lines of the fold's log."""
        return read_log(self.log)


def append_log(path: Path, line: Mapping[str, Any]) -> None:
    """Append a line with the current time to a log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "time": round(time.time(), 3)}) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a log, without one that is still being written; none if there is no log."""
    try:
        *lines, _unfinished = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]
