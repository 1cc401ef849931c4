"""Check of a batch before its run: the scans of each patient, and what is wrong with them."""

from collections.abc import Sequence

from tokenunet.bundle.store import find_manifest
from tokenunet.core.errors import IncompleteBatchError, TokenUNetError
from tokenunet.core.events import OnEvent, PatientEvent, Progress, ResultEvent, Stage
from tokenunet.inference.batch.job import PatientJob, patient_event, row_of_earlier_run
from tokenunet.inference.inputs import read_inputs


def check_patients(jobs: Sequence[PatientJob], on_event: OnEvent) -> None:
    """Find and read the scans of all patients without results, and segment none.

    Args:
        jobs: One or more jobs with the same model and options.
        on_event: Callback that receives a `PatientEvent` of each patient, progress, and finally the result; may raise
            `Cancelled` to stop.

    Raises:
        IncompleteBatchError: If patients cannot be segmented, after all were checked.
        ModelError: If the model cannot be used.
    """
    sha256 = find_manifest(str(jobs[0].request.model)).weights_sha256
    progress = Progress(on_event, {Stage.CHECK: 1.0})
    counts = {"patients": len(jobs), "ready": 0, "skipped": 0, "failed": 0}
    for number, job in enumerate(jobs):
        progress.update(Stage.CHECK, number / len(jobs))
        row = row_of_earlier_run(job, sha256)
        event = _check(job) if row is None else patient_event(job, row)
        counts[event.status] += 1
        on_event(event)
    progress.update(Stage.CHECK, 1)
    on_event(ResultEvent(str(jobs[0].request.output.parent), counts))
    if failed := counts["failed"]:
        raise IncompleteBatchError(
            f"{failed} of {len(jobs)} patients cannot be segmented.", "The reasons are listed with the patients."
        )


def _check(job: PatientJob) -> PatientEvent:
    output = str(job.request.output)
    try:
        inputs = read_inputs(job.request, find_manifest(str(job.request.model)))
    except TokenUNetError as error:
        return PatientEvent(job.patient, "failed", output, message=str(error), hint=error.hint)
    return PatientEvent(
        job.patient,
        "ready",
        output,
        scans={name: scan.source for name, scan in inputs.study.scans.items()},
        notes=[finding.message for finding in inputs.findings],
    )
