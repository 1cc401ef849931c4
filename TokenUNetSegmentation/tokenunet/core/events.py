"""Progress, warnings, results and errors of a running task.

They are passed to callbacks within a process, and written as JSON lines between processes.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal


class Stage(StrEnum):
    """Stage of a task; LOAD to WRITE are those of segmenting a patient."""

    SYNTHESIZE = "synthesize"
    CHECK = "check"
    LOAD = "load"
    ALIGN = "align"
    PREPARE = "prepare"
    PREDICT = "predict"
    RESTORE = "restore"
    WRITE = "write"
    RENDER = "render"
    TRAIN = "train"
    MEASURE = "measure"
    SEND = "send"
    IMPORT = "import"


@dataclass(frozen=True)
class Event:
    """Base class of all events.

    Attributes:
        event: Name of the event type in JSON.
    """

    event: ClassVar[str]

    def to_json(self) -> str:
        """Return the event as one line of JSON."""
        return json.dumps({"event": self.event} | asdict(self))


@dataclass(frozen=True)
class ProgressEvent(Event):
    """Progress of the whole run.

    Attributes:
        stage: Current stage, one of `Stage` or a stage of the training.
        fraction: Completed fraction of the whole run, from 0 to 1, never decreasing.
        eta_s: Estimated seconds to the end; None until it can be estimated.
    """

    event = "progress"
    stage: str
    fraction: float
    eta_s: float | None


@dataclass(frozen=True)
class WarningEvent(Event):
    """Warning for the user; the run continues.

    Attributes:
        code: Stable identifier for programs.
        message: One or two sentences for people.
    """

    event = "warning"
    code: str
    message: str


@dataclass(frozen=True)
class ResultEvent(Event):
    """End of a successful run.

    Attributes:
        output: Path of the output folder.
        report: Run report, as in ``run.json``.
    """

    event = "result"
    output: str
    report: dict[str, Any]


@dataclass(frozen=True)
class ErrorEvent(Event):
    """End of a failed run.

    Attributes:
        code: Stable identifier, as in `tokenunet.core.errors.TokenUNetError`.
        message: One sentence on what is wrong.
        hint: One sentence on what to do about it; may be empty.
    """

    event = "error"
    code: str
    message: str
    hint: str


PatientStatus = Literal["ready", "waiting", "running", "ok", "skipped", "failed"]


@dataclass(frozen=True)
class PatientEvent(Event):
    """News of one patient of a batch.

    Attributes:
        patient: Name of the patient.
        status: ``ready`` if the scans can be segmented, ``waiting`` and ``running`` during a batch, ``ok``,
            ``skipped`` if there are results of an earlier run, or ``failed``.
        output: Folder of the patient's results.
        scans: File or series by channel; empty if not known.
        notes: Sentences about the scans that do not keep them from being segmented.
        message: One sentence on what is wrong; empty if nothing is.
        hint: One sentence on what to do about it; may be empty.
        volumes_ml: Volumes in ml, as in the run report; empty if there is no result.
        seconds: Duration of the segmentation in seconds; None if there is no result.
        expected_dice: Expected Dice coefficient by region; empty if the model gives none.
    """

    event = "patient"
    patient: str
    status: PatientStatus
    output: str
    scans: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    message: str = ""
    hint: str = ""
    volumes_ml: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    expected_dice: dict[str, float] = field(default_factory=dict)


OnEvent = Callable[[Event], None]
"""Callback that receives events; may raise `tokenunet.core.errors.Cancelled` to stop the run."""


def ignore_events(event: Event) -> None:
    """Ignore an event: the default callback."""


def part_of_run(on_event: OnEvent, start: float, share: float) -> OnEvent:
    """Return a callback for a task that is a part of a larger run.

    Args:
        on_event: Callback of the larger run.
        start: Fraction of the larger run at which the task begins.
        share: Fraction of the larger run that the task takes.
    """

    def receive(event: Event) -> None:
        if isinstance(event, ProgressEvent):
            event = ProgressEvent(event.stage, round(start + share * event.fraction, 4), None)
        on_event(event)

    return receive


class Progress:
    """Converter of the progress of single stages into that of the whole run, with an estimate of the time left.

    Args:
        on_event: Callback that receives a `ProgressEvent` at every call of `update`.
        shares: Expected relative duration of each stage, in the order of the stages.
    """

    def __init__(self, on_event: OnEvent, shares: dict[Stage, float]) -> None:
        self._on_event = on_event
        total = sum(shares.values())
        self._start: dict[Stage, float] = {}
        self._share = {stage: share / total for stage, share in shares.items()}
        before = 0.0
        for stage, share in self._share.items():
            self._start[stage] = before
            before += share
        self._fraction = 0.0
        self._first: float | None = None
        self._began = time.monotonic()

    def update(self, stage: Stage, fraction: float) -> None:
        """Report the completed fraction of a stage.

        Args:
            stage: One of the stages in ``shares``.
            fraction: Completed fraction of the stage, from 0 to 1.
        """
        self._fraction = max(self._fraction, self._start[stage] + self._share[stage] * fraction)
        if self._first is None:
            self._first = self._fraction  # a resumed task did this part in an earlier run
        elapsed, done = time.monotonic() - self._began, self._fraction - self._first
        eta_s = elapsed * (1 - self._fraction) / done if done > 0.02 * (1 - self._first) else None
        self._on_event(ProgressEvent(stage, round(self._fraction, 4), None if eta_s is None else round(eta_s, 1)))
