"""Batch of patients in one worker process: found, checked, segmented, paused and resumed."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _
from tokenunet.core.events import Event, PatientEvent, ProgressEvent
from tokenunet.inference.request import SegmentationRequest

from TokenUNetSegmentationLib.process.worker import WorkerError, WorkerProcess, run_command

_EXPECTED_FAILURE = "incomplete_batch"
"""Code of the error with which a batch ends if patients failed; their rows say why."""
_LONGEST_STOP_S = 20.0
_MOST_NEWS = 50
"""Events received in one step; a batch begins with one for each patient."""


@dataclass(frozen=True)
class BatchRequest:
    """Patients to segment and how.

    Attributes:
        place: Folder with one folder per patient, or CSV file.
        settings: Model, options and folder of the results; its inputs are empty.
    """

    place: Path
    settings: SegmentationRequest

    def to_arguments(self) -> list[str]:
        """Return the arguments of ``tokenunet`` that segment the batch."""
        return ["segment", *self.settings.to_arguments(), "--batch", str(self.place)]


class Batch:
    """Patients of a batch and their states.

    Whoever takes the steps (a timer in the panel, a loop in a script) can abandon them after any one: the worker
    process is then killed, and finished results stay.

    Args:
        start_worker: Function that starts the worker process.

    Attributes:
        rows: Latest news by patient, in the order of the batch; what was found out about the scans is kept.
        changed: Patients with news since the display was updated; whoever displays them clears it.
        fraction: Completed fraction of the current check or run, from 0 to 1.
        paused: Whether the run is paused.
    """

    def __init__(self, start_worker: Callable[[Sequence[str], Path], WorkerProcess] = WorkerProcess) -> None:
        self.rows: dict[str, PatientEvent] = {}
        self.changed: set[str] = set()
        self.fraction = 0.0
        self.paused = False
        self._start_worker = start_worker
        self._worker: WorkerProcess | None = None
        self._stop_by: float | None = None
        self._durations: list[float] = []

    def check_steps(self, request: BatchRequest) -> Iterator[None]:
        """Find the patients and read their scans, in short steps.

        Raises:
            WorkerError: If the patients cannot be found, or the model cannot be used.
        """
        self.rows.clear()
        yield from self._steps([*request.to_arguments(), "--check"])

    def run_steps(self, request: BatchRequest) -> Iterator[None]:
        """Segment all patients without results, in short steps.

        Raises:
            WorkerError: If the batch cannot be run, or its process dies; a patient that fails is no error.
        """
        yield from self._steps(request.to_arguments())

    def pause(self) -> None:
        """Pause the run within a second, in the middle of a patient; its memory stays occupied."""
        self._order("pause")
        self.paused = True

    def resume(self) -> None:
        """Continue a paused run."""
        self._order("continue")
        self.paused = False

    def stop(self) -> None:
        """Request the end of the check or run; the current patient is given up, and finished results stay."""
        self._order("stop")
        self.paused = False
        self._stop_by = time.monotonic() + _LONGEST_STOP_S

    @property
    def stopping(self) -> bool:
        """Whether the end was requested."""
        return self._stop_by is not None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end of the run, from the patients segmented so far; None before the first."""
        if not self._durations:
            return None
        left = len(self.rows) * (1 - self.fraction)
        return left * sum(self._durations) / len(self._durations)

    def count(self, *statuses: str) -> int:
        """Return the number of patients with one of these statuses."""
        return sum(row.status in statuses for row in self.rows.values())

    def correct(self, result: Path, volumes_ml: dict[str, float]) -> None:
        """Take over the volumes of a result that was corrected.

        Args:
            result: Folder of the result.
            volumes_ml: Volumes in ml.
        """
        for patient, row in self.rows.items():
            if row.volumes_ml and Path(row.output) == result:
                self.rows[patient] = replace(row, volumes_ml=volumes_ml)
                self.changed.add(patient)

    def _order(self, order: str) -> None:
        if self._worker is not None:
            self._worker.order(order)  # type: ignore[arg-type]

    def _steps(self, arguments: Sequence[str]) -> Iterator[None]:
        self.fraction, self.paused, self._stop_by, self._durations = 0.0, False, None, []
        ended_unexpectedly = _("The process of the batch ended unexpectedly; start again to continue.")
        try:
            for events in run_command(arguments, self._started_worker, ended_unexpectedly):
                for number, event in enumerate(events, start=1):
                    self._receive(event)
                    if number % _MOST_NEWS == 0:
                        yield
                if self._worker is not None and self._stop_by is not None and time.monotonic() > self._stop_by:
                    self._worker.kill()
                yield
        except WorkerError as error:
            if error.code != _EXPECTED_FAILURE and not self.stopping:
                raise
        finally:
            self._worker, self._stop_by, self.paused = None, None, False
            for row in [row for row in self.rows.values() if row.status == "running"]:
                self._receive(replace(row, status="waiting"))

    def _started_worker(self, arguments: Sequence[str], work_folder: Path) -> WorkerProcess:
        self._worker = self._start_worker(arguments, work_folder)
        return self._worker

    def _receive(self, event: Event) -> None:
        if isinstance(event, ProgressEvent):
            self.fraction = event.fraction
        elif isinstance(event, PatientEvent):
            known = self.rows.get(event.patient, event)
            self.rows[event.patient] = replace(
                event, scans=event.scans or known.scans, notes=event.notes or known.notes
            )
            self.changed.add(event.patient)
            if event.status == "ok" and event.seconds is not None:
                self._durations.append(event.seconds)
