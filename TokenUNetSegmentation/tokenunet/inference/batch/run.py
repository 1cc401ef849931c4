"""Segmentation of a batch: a failed patient does not stop the others, and finished patients are skipped.

A `Runner` runs the jobs: in processes of this computer (`tokenunet.inference.batch.processes`) or on a cluster
(`tokenunet.inference.batch.cluster`). Both call `segment_patient`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import find_model
from tokenunet.core.errors import Cancelled, IncompleteBatchError, ModelError, UsageError
from tokenunet.core.events import (
    Event,
    OnEvent,
    PatientEvent,
    Progress,
    ProgressEvent,
    ResultEvent,
    Stage,
    WarningEvent,
)
from tokenunet.inference.batch.job import PatientJob, PatientRow, patient_event, row_of_earlier_run
from tokenunet.inference.batch.summary import CORRECTED, Summary

OnPatientEvent = Callable[[str, Event], None]
"""Callback that receives a patient's name and an event of the segmentation."""
Runner = Callable[[Sequence[PatientJob], OnPatientEvent], Iterator[PatientRow]]
"""Function that runs jobs in any order and yields the row of each as soon as it is finished."""


def segment_batch(jobs: Sequence[PatientJob], output: Path, run_jobs: Runner, on_event: OnEvent) -> dict[str, Any]:
    """Segment all patients without results, and keep ``summary.csv`` up to date.

    Args:
        jobs: One or more jobs with the same model and options.
        output: Folder of the summary.
        run_jobs: Function that runs the jobs.
        on_event: Callback that receives progress over the whole batch, a `PatientEvent` at each change of a patient's
            status, warnings with the patient's name, and finally the result.

    Returns:
        Number of patients by status, and path of the summary.

    Raises:
        IncompleteBatchError: If patients failed, after all others were segmented.
        ModelError: If the model cannot be used.
        UsageError: If options are contradictory.
        OutputError: If the summary cannot be written.
        Cancelled: If a stop was requested; finished results stay.
    """
    weights_sha256 = load_bundle(find_model(str(jobs[0].request.model))).manifest.weights_sha256
    summary = Summary(output, [job.patient for job in jobs])
    job_of = {job.patient: job for job in jobs}
    unfinished = []
    for job in jobs:
        if (row := row_of_earlier_run(job, weights_sha256)) is None:
            unfinished.append(job)
            on_event(PatientEvent(job.patient, "waiting", str(job.request.output)))
        else:
            _add(job, row, summary, on_event)
    summary.write()
    progress = _BatchProgress(on_event, job_of, len(jobs) - len(unfinished))
    try:
        for row in run_jobs(unfinished, progress.receive):
            if isinstance(row.error, UsageError | ModelError):
                raise row.error
            _add(job_of[row.patient], row, summary, on_event)
            summary.write()
            progress.finish(row.patient)
    except Cancelled as error:
        done = summary.counts["ok"] + summary.counts["skipped"]
        raise Cancelled(
            f"Stopped after {done} of {len(jobs)} patients. Run the same command again to continue."
        ) from error
    counts = {"patients": len(jobs), **summary.counts, "summary": str(summary.path)}
    on_event(ResultEvent(str(output), counts))
    if failed := summary.counts["failed"]:
        raise IncompleteBatchError(
            f"{failed} of {len(jobs)} patients failed; the reasons are in {summary.path}.",
            "Fix these and run the same command again to segment them.",
        )
    return counts


def _add(job: PatientJob, row: PatientRow, summary: Summary, on_event: OnEvent) -> None:
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
            **{f"{name}_expected_dice": value for name, value in row.expected_dice.items()},
            **row.intervals,
            "corrected": CORRECTED if row.corrected else "",
        }
    )
    on_event(patient_event(job, row))
    if error is not None:
        on_event(WarningEvent(error.code, f"{row.patient} failed: {error} {error.hint}".rstrip()))


class _BatchProgress:
    """Progress of the whole batch from the progress of its patients."""

    def __init__(self, on_event: OnEvent, jobs: Mapping[str, PatientJob], done: int) -> None:
        self._on_event = on_event
        self._progress = Progress(on_event, {Stage.PREDICT: 1.0})
        self._jobs = jobs
        self._done = done
        self._running: dict[str, float] = {}
        self._update()

    def receive(self, patient: str, event: Event) -> None:
        """Receive an event of a patient."""
        if patient not in self._running:
            self._running[patient] = 0.0
            self._on_event(PatientEvent(patient, "running", str(self._jobs[patient].request.output)))
        if isinstance(event, ProgressEvent):
            self._running[patient] = event.fraction
            self._update()
        elif isinstance(event, WarningEvent):
            self._on_event(WarningEvent(event.code, f"{patient}: {event.message}"))

    def finish(self, patient: str) -> None:
        """Count a patient as finished or failed."""
        self._running.pop(patient, None)
        self._done += 1
        self._update()

    def _update(self) -> None:
        self._progress.update(Stage.PREDICT, (self._done + sum(self._running.values())) / len(self._jobs))
