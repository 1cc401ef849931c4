"""Progress of an experiment, read from its folder while another process trains it."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tokenunet.core.errors import ExperimentError
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import FoldFolder

_BYTES_AT_ONCE = 1_000_000
"""Bytes read from all logs per update: about 4,000 lines, which take a few hundredths of a second."""


class FoldState(StrEnum):
    """State of a fold."""

    WAITING = "waiting"
    TRAINING = "training"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    FINISHED = "finished"


class LogTail:
    """Reader of the new lines of a growing log, in pieces; it starts over when the log is truncated.

    Args:
        path: Path of the log, which need not exist yet.
        bytes_at_once: Largest size of a piece in bytes; larger than a line.

    Attributes:
        behind: Whether there is more to read after the last piece.
    """

    def __init__(self, path: Path, bytes_at_once: int = _BYTES_AT_ONCE) -> None:
        self._path = path
        self._bytes_at_once = bytes_at_once
        self._read = 0
        self.behind = False

    def new_lines(self) -> list[dict[str, Any]]:
        """Return the next complete lines; none at the log's end or if there is no log yet."""
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
    """Progress of a fold.

    Attributes:
        folder: Files of the fold.
        network: Registered name of the architecture.
        voxels: Number of voxels of a case, relative to a spacing of 1 mm.
        total_epochs: Planned number of epochs; 0 while unknown.
        total_steps: Planned number of optimizer steps; 0 while unknown.
        epoch: Number of completed epochs.
        step: Number of completed steps.
        seconds_per_step: Duration of the last step in seconds; 0 while unknown.
        peak_memory_bytes: Peak memory of the last step in bytes.
        losses: Mean loss by epoch, from 1.
        dice: Validation Dice by epoch, with the keys of `REGIONS` and ``mean``.
        failure: Message of a failure; empty if there was none.
        validation_seconds: Duration of the last validation in seconds; 0 while unknown.
        validate_every: Number of epochs between two validations.
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
        """Update the progress from a line of the fold's log; a resumed training repeats some lines."""
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
        """Return the number of validations in a number of epochs, including the last epoch and the final evaluation."""
        return -(-epochs // self.validate_every) + 1

    def seconds_left(self, known: "FoldProgress") -> float:
        """Estimate the seconds to the end of the fold, its validations and final evaluation included.

        Args:
            known: Fold of the same architecture whose speed is known, such as this one.
        """
        steps = (self.total_steps or known.total_steps) - self.step
        validations = self.validations(known.total_epochs - self.epoch)
        seconds = steps * known.seconds_per_step + validations * known.validation_seconds
        return seconds * self.voxels / known.voxels

    @property
    def last_dice(self) -> float | None:
        """Mean Dice of the latest validation; None if there was none."""
        return self.dice[max(self.dice)]["mean"] if self.dice else None


class ExperimentProgress:
    """Progress of an experiment and of each of its folds.

    Args:
        experiment: Experiment that a process is training or has trained.

    Attributes:
        folds: Folds in the order of their training.
        message: Message of the last failure; empty if there was none.
        running: Whether a process is training the experiment.
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
        """Read new log lines, as many as take no noticeable time.

        Returns:
            Whether anything changed.
        """
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
        """Whether the last `update` did not reach the end of the logs."""
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
        """Return the state of a fold."""
        if fold.folder.finished:
            return FoldState.FINISHED
        if fold.failure:
            return FoldState.FAILED
        if not fold.total_epochs:
            return FoldState.WAITING
        return FoldState.TRAINING if self.running else FoldState.INTERRUPTED

    @property
    def finished(self) -> bool:
        """Whether all folds are finished."""
        return all(fold.folder.finished for fold in self.folds)

    @property
    def fraction(self) -> float:
        """Completed fraction of all steps, assuming that folds not yet started are as long as the longest."""
        longest = max((fold.total_steps for fold in self.folds), default=0)
        total = sum((fold.total_steps or longest) * fold.voxels for fold in self.folds)
        return sum(fold.step * fold.voxels for fold in self.folds) / total if total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end, estimated from the speed of each fold or of its architecture; None while unknown."""
        left = 0.0
        for fold in self.folds:
            same = [f for f in self.folds if f.network == fold.network and f.seconds_per_step]
            if fold.folder.finished:
                continue
            known = fold if fold.seconds_per_step else (same[-1] if same else None)
            if known is None:
                return None
            left += fold.seconds_left(known)
        return left


def _waiting_fold(experiment: Experiment, job: FoldFolder) -> FoldProgress:
    """Return the progress of a fold before its log is read; for synthetic patients, the number of steps is known."""
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
