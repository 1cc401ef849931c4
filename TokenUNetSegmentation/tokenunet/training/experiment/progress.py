"""How an experiment gets on, read from its folder alone, while another process trains there."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tokenunet.core.errors import ExperimentError
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import FoldFolder

_BYTES_AT_ONCE = 1_000_000
"""Of all logs together: about 4,000 lines, which take a few hundredths of a second."""


class FoldState(StrEnum):
    """What a fold is doing."""

    WAITING = "waiting"
    TRAINING = "training"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    FINISHED = "finished"


class LogTail:
    """Gives out the lines of a growing log once, a piece at a time; from the beginning again where it was cut back.

    Args:
        path: of the log, which need not exist yet.
        bytes_at_once: that a piece has at most; more than a line.

    Attributes:
        behind: whether there was more to read than the last piece.
    """

    def __init__(self, path: Path, bytes_at_once: int = _BYTES_AT_ONCE) -> None:
        self._path = path
        self._bytes_at_once = bytes_at_once
        self._read = 0
        self.behind = False

    def new_lines(self) -> list[dict[str, Any]]:
        """The next complete lines; none at the log's end or where there is no log yet."""
        try:
            size = self._path.stat().st_size
            if size < self._read:
                self._read = 0
            self.behind = size > self._read + self._bytes_at_once
            with self._path.open("rb") as file:
                file.seek(self._read)
                complete, newline, _unfinished = file.read(self._bytes_at_once).rpartition(b"\n")
        except OSError:
            return []
        self._read += len(complete) + len(newline)
        return [json.loads(line) for line in complete.splitlines()]


@dataclass
class FoldProgress:
    """What is known of a fold.

    Attributes:
        folder: its files.
        network: its architecture.
        voxels: of a case, relative to one at 1 mm.
        total_epochs: that it will be trained; 0 while unknown.
        total_steps: optimizer steps of all epochs; 0 while unknown.
        epoch: completed ones.
        step: completed ones.
        seconds_per_step: of the last step; 0 while unknown.
        peak_memory_bytes: of the last step.
        losses: mean loss by epoch, from 1.
        dice: validation Dice by epoch, with the keys of `REGIONS` and ``mean``.
        failure: why it failed; empty where it did not.
        validation_seconds: of the last validation; 0 while unknown.
        validate_every: Epochs between two validations.
    """

    folder: FoldFolder
    network: str
    voxels: float
    total_epochs: int = 0
    total_steps: int = 0
    epoch: int = 0
    step: int = 0
    seconds_per_step: float = 0.0
    peak_memory_bytes: int = 0
    losses: dict[int, float] = field(default_factory=dict)
    dice: dict[int, dict[str, float]] = field(default_factory=dict)
    failure: str = ""
    validation_seconds: float = 0.0
    validate_every: int = 1
    _last_step_time: float | None = None

    def take(self, line: dict[str, Any]) -> None:
        """Adds what a line of the fold's log says. A resumed training says some things twice, with the same words."""
        match line["event"]:
            case "started":
                self.total_epochs = line["total_epochs"]
                self.total_steps = line["total_epochs"] * line["steps_per_epoch"]
            case "step":
                self.step = line["step"]
                self._last_step_time = line.get("time")
                self.seconds_per_step = line["seconds"]
                self.peak_memory_bytes = line["peak_memory_bytes"]
            case "epoch":
                self.epoch = line["epoch"]
                self.losses[line["epoch"]] = line["loss"]
            case "validation":
                self.dice[line["epoch"]] = line["dice"]
                if self._last_step_time is not None and "time" in line:
                    self.validation_seconds = max(0.0, line["time"] - self._last_step_time)

    def validations(self, epochs: int) -> int:
        """Return how many of that many epochs are validated; the last epoch and the final measurement count too."""
        return -(-epochs // self.validate_every) + 1

    @property
    def last_dice(self) -> float | None:
        """Mean Dice of the newest validation."""
        return self.dice[max(self.dice)]["mean"] if self.dice else None


class ExperimentProgress:
    """An experiment and how far each of its folds is.

    Args:
        experiment: in whose folder a process trains, or did.

    Attributes:
        folds: in the order in which they are trained.
        message: why the last training failed; empty where it did not.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.folds = [_waiting_fold(experiment, job) for job in experiment.jobs()]
        self.message = ""
        self.running = False
        self._log = LogTail(experiment.log)
        share = _BYTES_AT_ONCE // len(self.folds)
        self._logs = [LogTail(fold.folder.log, share) for fold in self.folds]

    def update(self) -> bool:
        """Reads what is new, as much as takes no noticeable time; returns whether anything was."""
        news = False
        for line in self._log.new_lines():
            news = True
            self._take(line)
        for fold, log in zip(self.folds, self._logs, strict=True):
            for line in log.new_lines():
                news = True
                fold.take(line)
        try:
            running = self.experiment.running_process() is not None
        except ExperimentError:  # on another computer
            running = True
        news |= running != self.running
        self.running = running
        return news

    @property
    def behind(self) -> bool:
        """Whether the last `update` left something for the next."""
        return any(log.behind for log in (self._log, *self._logs))

    def _take(self, line: dict[str, Any]) -> None:
        named = [line.get("architecture"), line.get("fold")]
        fold = next((f for f in self.folds if [f.folder.architecture, f.folder.fold] == named), None)
        match line["event"]:
            case "started" | "finished" | "stopped":
                self.message = ""
            case "failed":
                self.message = f"{line['message']} {line['hint']}".strip()
            case "fold_started" if fold is not None:
                fold.failure = ""
            case "fold_failed" if fold is not None:
                fold.failure = line["message"]

    def state(self, fold: FoldProgress) -> FoldState:
        """What the fold is doing now."""
        if fold.folder.finished:
            return FoldState.FINISHED
        if fold.failure:
            return FoldState.FAILED
        if not fold.total_epochs:
            return FoldState.WAITING
        return FoldState.TRAINING if self.running else FoldState.INTERRUPTED

    @property
    def finished(self) -> bool:
        """Whether all folds are."""
        return all(fold.folder.finished for fold in self.folds)

    @property
    def fraction(self) -> float:
        """Of all steps of all folds, taking those that did not begin for as long as the longest that did."""
        longest = max((fold.total_steps for fold in self.folds), default=0)
        total = sum((fold.total_steps or longest) * fold.voxels for fold in self.folds)
        return sum(fold.step * fold.voxels for fold in self.folds) / total if total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from each fold's own speed, or that of its architecture's other folds; None while unknown."""
        left = 0.0
        for fold in self.folds:
            same = [f for f in self.folds if f.network == fold.network and f.seconds_per_step]
            if fold.folder.finished:
                continue
            known = fold if fold.seconds_per_step else (same[-1] if same else None)
            if known is None:
                return None
            steps = (fold.total_steps or known.total_steps) - fold.step
            left += steps * known.seconds_per_step * fold.voxels / known.voxels
            validations = fold.validations(known.total_epochs - fold.epoch)
            left += validations * known.validation_seconds * fold.voxels / known.voxels
        return left


def _waiting_fold(experiment: Experiment, job: FoldFolder) -> FoldProgress:
    """A fold of which nothing was read yet; of synthetic patients, the number of steps is known beforehand."""
    settings = experiment.description["configurations"][job.architecture]
    patients = settings["epochs"] * settings.get("synthetic_patients", 0)
    steps = patients // (settings["batch_size"] * settings["accumulation"])
    return FoldProgress(
        job,
        settings["architecture"],
        settings["spacing"] ** -3,
        total_steps=steps,
        validate_every=settings["validate_every"],
    )
