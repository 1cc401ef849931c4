"""What a running task says about itself: typed events, as callbacks in a process and JSON lines between processes."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Stage(StrEnum):
    """What a task can be doing; from LOAD to WRITE it is segmenting a patient."""

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


@dataclass(frozen=True)
class Event:
    """Base of all events; ``event`` names its kind in JSON."""

    event: ClassVar[str]

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"event": self.event} | asdict(self))


@dataclass(frozen=True)
class ProgressEvent(Event):
    """How far the whole run is.

    Attributes:
        stage: what is being done.
        fraction: of the whole run, 0 to 1, never falling.
        eta_s: estimated seconds to the end; None while nothing is known.
    """

    event = "progress"
    stage: str
    fraction: float
    eta_s: float | None


@dataclass(frozen=True)
class WarningEvent(Event):
    """Something the user should know, though the run goes on."""

    event = "warning"
    code: str
    message: str


@dataclass(frozen=True)
class ResultEvent(Event):
    """The run is done: where its output lies, and the run report."""

    event = "result"
    output: str
    report: dict[str, Any]


@dataclass(frozen=True)
class ErrorEvent(Event):
    """The run failed; the attributes are those of `tokenunet.core.errors.TokenUNetError`."""

    event = "error"
    code: str
    message: str
    hint: str


OnEvent = Callable[[Event], None]
"""Receives events. It may raise `tokenunet.core.errors.Cancelled` to stop the run at that point."""


def ignore_events(event: Event) -> None:
    """The receiver for those who do not ask."""


def part_of_run(on_event: OnEvent, start: float, share: float) -> OnEvent:
    """A receiver for a task that is a part of a larger run, which begins at ``start`` and takes ``share`` of it."""

    def receive(event: Event) -> None:
        if isinstance(event, ProgressEvent):
            event = ProgressEvent(event.stage, round(start + share * event.fraction, 4), None)
        on_event(event)

    return receive


class Progress:
    """Turns "this stage is so far" into fractions of the whole run with an estimate of the time left.

    Args:
        on_event: receives a `ProgressEvent` at every call of `update`.
        shares: share of the whole run's time that each stage is expected to take, in order.
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
        """Reports that ``fraction`` (0 to 1) of ``stage`` is done."""
        self._fraction = max(self._fraction, self._start[stage] + self._share[stage] * fraction)
        if self._first is None:
            self._first = self._fraction  # of a resumed task, done at another time
        elapsed, done = time.monotonic() - self._began, self._fraction - self._first
        eta_s = elapsed * (1 - self._fraction) / done if done > 0.02 * (1 - self._first) else None
        self._on_event(ProgressEvent(stage, round(self._fraction, 4), None if eta_s is None else round(eta_s, 1)))
