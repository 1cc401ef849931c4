"""The files of one fold of an experiment, and the logs."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

StopWhen = Literal["epoch", "now"]
"""A request to stop: after the epoch, or as soon as the state is saved."""


LAST_WEIGHTS = "last.safetensors"


class FoldFolder:
    """The files of one network's fold.

    Args:
        folder: in its network's folder, in the experiment's.
        architecture: the network's name in the experiment, which is its architecture, perhaps with a stage.
        fold: number, from 0.
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
        """The folder of the experiment."""
        return self.folder.parent.parent

    @property
    def begun(self) -> bool:
        """Whether there is a state to go on from."""
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    @property
    def finished(self) -> bool:
        """Whether it has been trained and validated to the end."""
        return self.metrics.exists()

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has logged so far; a line that is being written is left out."""
        return read_log(self.log)


def append_log(path: Path, line: Mapping[str, Any]) -> None:
    """Adds a line with the time to a log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "time": round(time.time(), 3)}) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a log; none where there is no log yet."""
    try:
        *lines, _unfinished = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]
