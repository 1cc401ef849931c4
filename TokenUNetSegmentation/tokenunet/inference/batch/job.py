"""One patient of a batch: what is to be done, doing it, and how it went."""

import json
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tokenunet.core.errors import Cancelled, OutOfMemoryError, OutputExistsError, TokenUNetError
from tokenunet.core.events import OnEvent, ignore_events
from tokenunet.inference.output import RUN_REPORT
from tokenunet.inference.pipeline import segment
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.files import STAGING_PREFIX
from tokenunet.io.overlay_files import has_attention_maps
from tokenunet.runtime.device import is_out_of_memory


@dataclass(frozen=True)
class PatientJob:
    """One patient of a batch.

    Attributes:
        patient: unlike all others of the batch; names the folder of results.
        request: what to do.
    """

    patient: str
    request: SegmentationRequest


@dataclass(frozen=True)
class PatientRow:
    """How a patient went.

    Attributes:
        patient: of the job.
        status: ``skipped`` where the results stood already.
        error: why it failed.
        volumes_ml: as in the run report.
        warnings: how many there were; None where it failed.
        seconds: that the segmentation took, also where that was earlier.
    """

    patient: str
    status: Literal["ok", "skipped", "failed"]
    error: TokenUNetError | None = None
    volumes_ml: dict[str, float] = field(default_factory=dict)
    warnings: int | None = None
    seconds: float | None = None


def segment_patient(job: PatientJob, on_event: OnEvent = ignore_events) -> PatientRow:
    """Segments one patient; whatever goes wrong is in the row.

    Raises:
        Cancelled: from ``on_event`` or a signal's handler, and nothing else.
    """
    began = time.perf_counter()
    output = job.request.output
    # What a process that was killed while its results moved into place left there is nobody's result.
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
                f"{job.patient} met an error of the program: {type(unknown).__name__}: {unknown}.",
                "Please report it with what standard error says of it.",
            )
    else:
        return _row_of_report(job, "ok", report)
    return PatientRow(job.patient, "failed", error, seconds=round(time.perf_counter() - began, 3))


def row_of_earlier_run(job: PatientJob, weights_sha256: str) -> PatientRow | None:
    """The row of a patient whose results stand; None where there is something to do.

    Results of something else than the job asks for are an error, for nothing is overwritten unasked.
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
        f"{job.request.output} holds the results of {difference}.",
        "Use --force to segment all patients anew, or choose another folder.",
    )
    return PatientRow(job.patient, "failed", error)


def _row_of_report(job: PatientJob, status: Literal["ok", "skipped"], report: dict[str, Any]) -> PatientRow:
    seconds = round(sum(report["timings_s"].values()), 3)
    return PatientRow(job.patient, status, None, report["volumes_ml"], len(report["warnings"]), seconds)


def _difference(job: PatientJob, report: dict[str, Any], weights_sha256: str, written: float) -> str:
    """By what an earlier run differs from the job, or nothing."""
    request, options = job.request, job.request.options
    sources = {sequence: str(scan["path"]) for sequence, scan in report["inputs"].items()}
    differences = {
        "another model": report["model"]["sha256"] != weights_sha256,
        "other scans": not all(_is_input(request, sequence, source) for sequence, source in sources.items()),
        "scans that were changed since": any(_modified(source) > written for source in sources.values()),
        "another reference": request.reference not in (None, report["reference"]),
        "another scheme of labels": report["labels"]["ET"] != request.et_label,
        "another mode": report["mode"] != options.mode and not report["fallbacks"],
        "another number of passes": report.get("fast", False) != options.fast,
        "a run without attention maps": options.attention_maps and not has_attention_maps(report),
    }
    return next((name for name, differs in differences.items() if differs), "")


def _is_input(request: SegmentationRequest, sequence: Any, source: str) -> bool:
    given = request.inputs.get(sequence, request.folder)
    path, is_series, _ = source.partition(": series ")  # a DICOM series is called after its folder
    place = Path(path)
    if given is None:
        return False
    return place.is_relative_to(given) or (bool(is_series) and given.is_relative_to(place))


def _modified(source: str) -> float:
    path = Path(source)
    return path.stat().st_mtime if path.is_file() else 0.0
