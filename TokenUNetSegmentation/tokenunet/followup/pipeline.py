"""Follow-up of one patient from folders to a folder of results, for the command line and the Slicer module."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenunet.bundle.store import find_manifest, find_model
from tokenunet.core.errors import InputError, TimePointsError, UsageError
from tokenunet.core.events import (
    Event,
    OnEvent,
    Progress,
    ProgressEvent,
    ResultEvent,
    Stage,
    WarningEvent,
    ignore_events,
)
from tokenunet.core.findings import Finding
from tokenunet.core.overlays import Overlay
from tokenunet.followup.align import AlignedTimePoint, FirstTimePoint
from tokenunet.followup.change_map import CHANGE, change_map
from tokenunet.followup.changes import (
    LESIONS,
    lesion_states,
    lesions_over_time,
    volume_changes,
)
from tokenunet.followup.output import PATTERNS, RESULTS, labels_file, scan_file, write_images, write_tables
from tokenunet.followup.page import follow_up_page, follow_up_pictures
from tokenunet.followup.rano import RANO_SOURCE, rano_lines, sum_of_products_mm2
from tokenunet.followup.request import REPORT, FollowUpRequest
from tokenunet.followup.results import SegmentedTimePoint, read_result
from tokenunet.followup.surgery import cavity_finding
from tokenunet.followup.time_points import (
    TimePoint,
    days_since_first,
    find_time_points,
    order_finding,
    order_of,
)
from tokenunet.followup.uncertainty import DEFAULT, Repeatability
from tokenunet.inference.batch.job import PatientJob, row_of_earlier_run
from tokenunet.inference.evidence import UNMARKED_CODES
from tokenunet.inference.output import check_output
from tokenunet.inference.pipeline import segment
from tokenunet.inference.request import InferenceOptions, SegmentationRequest
from tokenunet.io.files import SAFE_NAME, locked_folder, staging_folder
from tokenunet.io.overlay_files import INDEX
from tokenunet.io.segmentation_page import Picture
from tokenunet.measurement import measure
from tokenunet.runtime.environment import versions


def follow_up(request: FollowUpRequest, on_event: OnEvent = ignore_events) -> dict[str, Any]:
    """Segment, align and compare the time points of one patient, and write `tokenunet.followup.output`.

    Time points that were segmented before, in the patient's folder or by an interrupted run, are not segmented again.

    Args:
        request: Patient, output, model and device.
        on_event: Callback that receives progress, warnings and finally the result; may raise `Cancelled` to stop.

    Returns:
        Report, as in ``follow_up.json``.

    Raises:
        TimePointsError: If there are fewer than two time points, or their order is not known.
        SameStudyError: If two time points are the same examination.
        MixedPatientsError: If the time points are those of several people.
        InputError: If scans or results cannot be used.
        ModelError: If the model cannot be used.
        DeviceError: If the device is missing, or memory does not suffice.
        UsageError: If the results would be written into the folder of the patient itself.
        OutputError: If results already exist, or cannot be written.
    """
    if request.output.resolve() == request.patient.resolve():  # they would be time points of a later run
        raise UsageError(f"{request.output} is the folder of the patient.", "Choose another one for the results.")
    with locked_folder(request.output):
        check_output(request.output, request.force, PATTERNS)
        return _FollowUp(request, on_event).run()


class _FollowUp:
    """State of a follow-up: its progress and warnings."""

    def __init__(self, request: FollowUpRequest, on_event: OnEvent) -> None:
        self._request = replace(request, patient=request.patient.resolve(), output=request.output.resolve())
        self._manifest = find_manifest(str(request.model))
        self._on_event = on_event
        self._warnings: list[dict[str, str]] = []
        self._progress = Progress(on_event, {Stage.PREDICT: 0.7, Stage.ALIGN: 0.15, Stage.WRITE: 0.15})

    def run(self) -> dict[str, Any]:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        request = self._request
        points = find_time_points(request.patient, self._manifest.inputs, request.order, request.output)
        self._warn(order_finding(points))
        segmented = list(self._all_segmented(points))
        self._warn(_different_models(segmented))
        aligned = self._aligned(segmented)
        for earlier, later in pairwise(aligned):
            self._warn(cavity_finding(earlier, later, segmented[0].grid))
        self._progress.update(Stage.WRITE, 0)
        overlays = _change_maps(aligned)
        report = {"schema": 1, "started": started, "versions": versions(), "patient": str(request.patient)}
        report |= _measured(aligned, DEFAULT)
        report |= {INDEX: [replace(CHANGE, overlays=overlays).to_json()], "warnings": self._warnings}
        pictures = follow_up_pictures(aligned, overlays)
        with staging_folder(request.output, replaces=PATTERNS, last=REPORT) as staging:
            write_images(aligned, overlays, segmented[0].grid, staging)
            write_tables(report, follow_up_page(report, pictures), _pdf(report, pictures), staging)
        self._progress.update(Stage.WRITE, 1)
        self._on_event(ResultEvent(str(request.output), report))
        return report

    def _all_segmented(self, points: Sequence[TimePoint]) -> Iterator[SegmentedTimePoint]:
        """Yield the time points with their segmentations; name the one that cannot be used, and how to leave it out."""
        for point in points:
            if point.problem is not None:  # before the others are segmented
                raise _of_time_point(point.problem, point, points)
        for number, point in enumerate(points):
            try:
                yield self._segmented(point, number, len(points))
            except InputError as error:
                raise _of_time_point(error, point, points) from error

    def _segmented(self, point: TimePoint, number: int, count: int) -> SegmentedTimePoint:
        """Return a time point with its segmentation, from an earlier run if there is one."""
        if not SAFE_NAME.fullmatch(point.name):
            raise TimePointsError(
                f"{point.folder} cannot name a time point.", "Use letters, digits, blanks and the signs _ . + -."
            )

        def receive(event: Event) -> None:
            if isinstance(event, ProgressEvent):
                self._progress.update(Stage.PREDICT, (number + event.fraction) / count)
            elif isinstance(event, WarningEvent):
                self._warn(Finding(event.code, f"{point.name}: {event.message}"))

        if point.is_result:
            return self._stored(point, point.folder)
        request, output = self._request, self._request.output / RESULTS / point.name
        segmentation = SegmentationRequest(
            inputs=point.inputs,
            output=output,
            model=find_model(str(request.model)).absolute(),
            folder=point.folder,
            options=InferenceOptions(request.device),
            force=request.force,
        )
        earlier = row_of_earlier_run(PatientJob(point.name, segmentation), self._manifest.weights_sha256)
        if earlier is not None and earlier.error is not None:
            raise earlier.error
        if earlier is not None:
            return self._stored(point, output)
        segment(segmentation, receive)
        return read_result(point, output)

    def _stored(self, point: TimePoint, folder: Path) -> SegmentedTimePoint:
        """Return the result of an earlier run, of which warnings are repeated that say what its regions lack."""
        result = read_result(point, folder)
        for warning in result.report.get("warnings", ()):
            if warning["code"] in UNMARKED_CODES:
                self._warn(Finding(warning["code"], f"{point.name}: {warning['message']}"))
        return result

    def _aligned(self, segmented: Sequence[SegmentedTimePoint]) -> list[AlignedTimePoint]:
        """Return all time points on the grid of the first."""
        self._progress.update(Stage.ALIGN, 0)
        first = FirstTimePoint(segmented[0])
        aligned = [first.aligned]
        for done, other in enumerate(segmented[1:], start=1):
            point, finding = first.align(other)
            self._warn(finding)
            aligned.append(point)
            self._progress.update(Stage.ALIGN, done / (len(segmented) - 1))
        return aligned

    def _warn(self, finding: Finding | None) -> None:
        if finding is not None:
            self._warnings.append({"code": finding.code, "message": finding.message})
            self._on_event(WarningEvent(finding.code, finding.message))


def _of_time_point(error: InputError, point: TimePoint, points: Sequence[TimePoint]) -> InputError:
    """Return an error that names its time point, and how to leave that out."""
    others = [other for other in points if other is not point]
    leave_out = f"Or compare the others: {order_of(others)}." if len(others) > 1 else ""
    hint = "Correct its folder." if "--" in error.hint else error.hint  # those are options of other commands
    return type(error)(f"Time point {point.name}: {error}", f"{hint} {leave_out}".strip())


def _pdf(report: dict[str, Any], pictures: Sequence[Picture]) -> bytes | None:
    """Return the PDF; None without matplotlib, which the extra `report` installs."""
    if find_spec("matplotlib") is None:
        return None
    from tokenunet.followup.pdf import follow_up_pdf

    return follow_up_pdf(report, pictures)


def _different_models(segmented: Sequence[SegmentedTimePoint]) -> Finding | None:
    """Return the warning about time points that were segmented by several models; None if one made them all."""
    names = {point.model.get("sha256", ""): point.model.get("name", "") for point in segmented}
    if len(names) < 2:
        return None
    text = f"The time points were segmented by different models ({', '.join(names.values())}): volumes may not compare."
    return Finding("different_models", text)


def _change_maps(points: Sequence[AlignedTimePoint]) -> tuple[Overlay, ...]:
    """Return the maps of change from each time point to the next, and from the first to the last."""
    pairs = list(pairwise(points))
    if len(points) > 2:
        pairs.append((points[0], points[-1]))
    grid = points[0].segmented.grid
    return tuple(change_map(number, *pair, grid) for number, pair in enumerate(pairs, start=1))


def _measured(points: Sequence[AlignedTimePoint], repeatability: Repeatability) -> dict[str, Any]:
    """Return the entries of the report that describe the time points, the changes and the lesions."""
    known = days_since_first([point.segmented.point for point in points])
    days = [None] * len(points) if known is None else known
    entries = [_describe(point, day) for point, day in zip(points, days, strict=True)]
    volumes = {entry["name"]: entry["volumes_ml"] for entry in entries}
    measured = [region for region in LESIONS if all(region in by_region for by_region in volumes.values())]
    changes = [change.to_json() for change in volume_changes(volumes, repeatability)]
    if not changes:
        raise InputError("The time points have no region in common.", "Segment them with one model.")
    return {
        "time_points": entries,
        "changes": changes,
        "lesions": {
            region: [
                {**vars(lesion), "changes": lesion_states(lesion, region, repeatability)}
                for lesion in lesions_over_time(points, region)
            ]
            for region in measured
        },
        "rano_lines_mm2": {
            "source": RANO_SOURCE,
            **rano_lines([entry["sum_of_products_mm2"] for entry in entries] if "ET" in measured else []),
        },
        "uncertainty": {
            "model": repeatability.model,
            "patients": repeatability.patients,
            "preliminary": repeatability.is_preliminary,
        },
    }


def _describe(point: AlignedTimePoint, day: int | None) -> dict[str, Any]:
    segmented, alignment = point.segmented, point.alignment
    measured = measure(segmented.regions, segmented.grid, segmented.report.get("not_segmented", ()))
    return {
        "name": segmented.point.name,
        "date": None if segmented.point.acquired is None else segmented.point.acquired.isoformat(),
        "day": day,
        "result": str(segmented.folder),
        "scan": scan_file(segmented.point.name),
        "labels": labels_file(segmented.point.name),
        "model": {key: segmented.model.get(key, "") for key in ("name", "sha256")},
        "reference": segmented.sequence,
        "alignment": None
        if alignment is None
        else {
            "quality": round(alignment.quality, 3),
            "shift_mm": round(alignment.shift_mm, 2),
            "rotation_degrees": round(alignment.rotation_degrees, 2),
        },
        **measured,
        "sum_of_products_mm2": sum_of_products_mm2(measured["lesions"].get("ET", [])),
    }
