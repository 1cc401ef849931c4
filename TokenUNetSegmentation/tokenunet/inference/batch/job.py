"""One patient of a batch: job, segmentation and row of the summary."""

import json
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tokenunet.bundle.store import find_manifest
from tokenunet.core.edits import EDITS
from tokenunet.core.errors import Cancelled, OutOfMemoryError, OutputExistsError, TokenUNetError
from tokenunet.core.events import OnEvent, PatientEvent, ignore_events
from tokenunet.inference.batch.summary import INTERVAL
from tokenunet.inference.pipeline import segment
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.files import STAGING_PREFIX
from tokenunet.io.overlay_files import has_attention_maps
from tokenunet.io.result_files import RUN_REPORT
from tokenunet.networks.registry import architecture
from tokenunet.runtime.device import is_out_of_memory


@dataclass(frozen=True)
class PatientJob:
    """Job of one patient of a batch.

    Attributes:
        patient: Unique name, and name of the folder of results.
        request: Inputs, output, model and options.
    """

    patient: str
    request: SegmentationRequest


@dataclass(frozen=True)
class PatientRow:
    """Row of a patient in the summary.

    Attributes:
        patient: Name of the patient.
        status: ``ok``, ``skipped`` if there are results of an earlier run, or ``failed``.
        error: Error of a failed patient.
        volumes_ml: Volumes in ml, as in the run report.
        warnings: Number of warnings; None if the patient failed.
        seconds: Duration of the segmentation in seconds, also of an earlier run.
        expected_dice: Expected Dice coefficient by region, if the run report has it.
        intervals: Ends of the intervals of Dice and volumes, by column of the summary, such as `WT_ml_low`.
        corrected: Whether somebody has corrected the result.
    """

    patient: str
    status: Literal["ok", "skipped", "failed"]
    error: TokenUNetError | None = None
    volumes_ml: dict[str, float] = field(default_factory=dict)
    warnings: int | None = None
    seconds: float | None = None
    expected_dice: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, float] = field(default_factory=dict)
    corrected: bool = False


def patient_event(job: PatientJob, row: PatientRow) -> PatientEvent:
    """Return the event that reports the row of a patient."""
    return PatientEvent(
        job.patient,
        row.status,
        str(job.request.output),
        message="" if row.error is None else str(row.error),
        hint="" if row.error is None else row.error.hint,
        volumes_ml=row.volumes_ml,
        seconds=row.seconds,
        expected_dice=row.expected_dice,
    )


def segment_patient(job: PatientJob, on_event: OnEvent = ignore_events) -> PatientRow:
    """Segment one patient and return its row, which contains any error but `Cancelled`.

    Args:
        job: Job of the patient.
        on_event: Callback that receives events; may raise `Cancelled` to stop.

    Raises:
        Cancelled: If the callback or a signal handler raises it.
    """
    began = time.perf_counter()
    output = job.request.output
    # Files of a process that was killed while its results moved into place are not results.
    force = job.request.force or any(output.glob(f"{STAGING_PREFIX}*"))
    error: TokenUNetError
    try:
        report = segment(replace(job.request, force=force), on_event)
    except Cancelled:
        raise
    except TokenUNetError as known:
        error = known
    except Exception as unknown:
        if is_out_of_memory(unknown):
            error = OutOfMemoryError(f"There is not enough memory for {job.patient}.", "Run fewer --jobs at a time.")
        else:
            traceback.print_exc()
            error = TokenUNetError(
                f"Unexpected error while segmenting {job.patient}: {type(unknown).__name__}: {unknown}.",
                "Please report it together with the traceback printed to stderr.",
            )
    else:
        return _row_of_report(job, "ok", report)
    return PatientRow(job.patient, "failed", error, seconds=round(time.perf_counter() - began, 3))


def row_of_earlier_run(job: PatientJob, weights_sha256: str) -> PatientRow | None:
    """Return the row of a patient with results of an earlier run; None if there is something to do.

    Results of other inputs or options are an error, since nothing is overwritten without ``--force``.

    Args:
        job: Job of the patient.
        weights_sha256: SHA-256 of the model's weights.
    """
    report_path = job.request.output / RUN_REPORT
    if job.request.force or not report_path.is_file():
        return None
    try:
        report = json.loads(report_path.read_text())
        difference = _difference(job, report, weights_sha256, report_path.stat().st_mtime)
        row = _row_of_report(job, "skipped", report)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        difference = f"an unknown run: {RUN_REPORT} cannot be read"
    if not difference:
        return row
    error = OutputExistsError(
        f"{job.request.output} contains the results of {difference}.",
        "Use --force to segment all patients again, or choose another folder.",
    )
    return PatientRow(job.patient, "failed", error)


def _row_of_report(job: PatientJob, status: Literal["ok", "skipped"], report: dict[str, Any]) -> PatientRow:
    seconds = round(sum(report["timings_s"].values()), 3)
    expected = report.get("expected_dice", {})
    dice = {name: values["value"] for name, values in expected.items()}
    intervals = {f"{name}_expected_dice_{end}": values[end] for name, values in expected.items() for end in INTERVAL}
    for name, ends in report.get("volumes_interval_ml", {}).items():
        intervals |= {f"{name}_ml_{end}": value for end, value in zip(INTERVAL, ends, strict=True)}
    warnings, corrected = len(report["warnings"]), bool(report.get(EDITS))
    return PatientRow(job.patient, status, None, report["volumes_ml"], warnings, seconds, dice, intervals, corrected)


def _difference(job: PatientJob, report: dict[str, Any], weights_sha256: str, written: float) -> str:
    """Return the difference between an earlier run and the job; empty if there is none."""
    request, options = job.request, job.request.options
    sources = {sequence: str(scan["path"]) for sequence, scan in report["inputs"].items()}
    is_imported = "framework" in report["model"]  # such models have their own mode
    differences = {
        "another model": report["model"]["sha256"] != weights_sha256,
        "other scans": not all(_is_input(request, sequence, source) for sequence, source in sources.items()),
        "scans that have changed": any(_modified(source) > written for source in sources.values()),
        "another reference": request.reference not in (None, report["reference"]),
        "another label scheme": report["labels"]["ET"] != request.et_label,
        "another mode": report["mode"] != options.mode and not report["fallbacks"] and not is_imported,
        "another number of passes": report.get("fast", False) != options.fast,
        "a run without attention maps": _wants_attention_maps(request) and not has_attention_maps(report),
    }
    return next((name for name, differs in differences.items() if differs), "")


def _wants_attention_maps(request: SegmentationRequest) -> bool:
    """Return whether attention maps are asked for, and the model has any."""
    if not request.options.attention_maps:
        return False
    return architecture(find_manifest(str(request.model)).architecture).has_attention_maps


def _is_input(request: SegmentationRequest, sequence: Any, source: str) -> bool:
    given = request.inputs.get(sequence, request.folder)
    path, is_series, _ = source.partition(": series ")  # a DICOM series is named after its folder
    place = Path(path)
    if given is None:
        return False
    return place.is_relative_to(given) or (bool(is_series) and given.is_relative_to(place))


def _modified(source: str) -> float:
    path = Path(source)
    return path.stat().st_mtime if path.is_file() else 0.0
