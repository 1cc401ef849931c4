"""Many patients, one folder of results each: what fails for one does not stop the others, and nothing is done twice.

Who runs the jobs is left to a `Runner`: processes of this computer (`tokenunet.inference.batch.processes`) or a
cluster (`tokenunet.inference.batch.cluster`). Both call `segment_patient`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import find_model
from tokenunet.core.errors import Cancelled, IncompleteBatchError, ModelError, UsageError
from tokenunet.core.events import Event, OnEvent, Progress, ProgressEvent, ResultEvent, Stage, WarningEvent
from tokenunet.inference.batch.job import PatientJob, PatientRow, row_of_earlier_run
from tokenunet.inference.batch.summary import Summary

OnPatientEvent = Callable[[str, Event], None]
"""Receives a patient's name and what its segmentation says."""
Runner = Callable[[Sequence[PatientJob], OnPatientEvent], Iterator[PatientRow]]
"""Runs jobs in any order and gives a row for each as soon as it is there."""


def segment_batch(jobs: Sequence[PatientJob], output: Path, run_jobs: Runner, on_event: OnEvent) -> dict[str, Any]:
    """Segments all patients whose results do not stand yet, and keeps ``summary.csv`` up to date.

    Args:
        jobs: at least one; with the same model and options.
        output: folder of the summary.
        run_jobs: runs them.
        on_event: receives progress over the whole batch, warnings with the patient's name, and at last the result.

    Returns:
        How many patients there are, by status, and where the summary is.

    Raises:
        IncompleteBatchError: at the end, where patients failed.
        ModelError: where the model cannot be used, for any patient.
        UsageError: where the options do not go together, for any patient.
        OutputError: where the summary cannot be written.
        Cancelled: what is done stays.
    """
    weights_sha256 = load_bundle(find_model(str(jobs[0].request.model))).manifest.weights_sha256
    summary = Summary(output, [job.patient for job in jobs])
    unfinished = []
    for job in jobs:
        if (row := row_of_earlier_run(job, weights_sha256)) is None:
            unfinished.append(job)
        else:
            _add(row, summary, on_event)
    summary.write()
    progress = _BatchProgress(on_event, len(jobs), len(jobs) - len(unfinished))
    try:
        for row in run_jobs(unfinished, progress.receive):
            if isinstance(row.error, UsageError | ModelError):
                raise row.error
            _add(row, summary, on_event)
            summary.write()
            progress.finish(row.patient)
    except Cancelled as error:
        done = summary.counts["ok"] + summary.counts["skipped"]
        raise Cancelled(
            f"Stopped after {done} of {len(jobs)} patients; the same command goes on from there."
        ) from error
    counts = {"patients": len(jobs), **summary.counts, "summary": str(summary.path)}
    on_event(ResultEvent(str(output), counts))
    if failed := summary.counts["failed"]:
        raise IncompleteBatchError(
            f"{len(jobs) - failed} of {len(jobs)} patients segmented; {failed} failed: {summary.path} says why.",
            "Once that is mended, the same command goes on with these.",
        )
    return counts


def _add(row: PatientRow, summary: Summary, on_event: OnEvent) -> None:
    error = row.error
    summary.add(
        {
            "patient": row.patient,
            "status": row.status,
            "code": "" if error is None else error.code,
            "message": "" if error is None else str(error),
            "hint": "" if error is None else error.hint,
            **{f"{name}_ml": volume for name, volume in row.volumes_ml.items()},
            "warnings": row.warnings,
            "seconds": row.seconds,
        }
    )
    if error is not None:
        on_event(WarningEvent(error.code, f"{row.patient} failed: {error} {error.hint}".rstrip()))


class _BatchProgress:
    """Puts the progress of the patients that are being segmented together."""

    def __init__(self, on_event: OnEvent, patients: int, done: int) -> None:
        self._on_event = on_event
        self._progress = Progress(on_event, {Stage.PREDICT: 1.0})
        self._patients = patients
        self._done = done
        self._running: dict[str, float] = {}
        self._update()

    def receive(self, patient: str, event: Event) -> None:
        """What one of them says."""
        if isinstance(event, ProgressEvent):
            self._running[patient] = event.fraction
            self._update()
        elif isinstance(event, WarningEvent):
            self._on_event(WarningEvent(event.code, f"{patient}: {event.message}"))

    def finish(self, patient: str) -> None:
        """One of them is done or has failed."""
        self._running.pop(patient, None)
        self._done += 1
        self._update()

    def _update(self) -> None:
        self._progress.update(Stage.PREDICT, (self._done + sum(self._running.values())) / self._patients)
