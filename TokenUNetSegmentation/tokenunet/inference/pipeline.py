"""Segmentation of one patient from files to a folder of results, for the command line and the Slicer module."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import find_model
from tokenunet.core.events import OnEvent, Progress, ResultEvent, Stage, WarningEvent, ignore_events
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.regions import ED, NCR
from tokenunet.inference.channels import unclaimed_regions, without_enhancing_tumor
from tokenunet.inference.evidence import evidence_findings
from tokenunet.inference.inputs import read_inputs
from tokenunet.inference.output import (
    check_output,
    earlier_channels,
    result_patterns,
    write_preparation,
    write_result,
    write_review,
)
from tokenunet.inference.overlays import grouped, with_overlays
from tokenunet.inference.predict import predict
from tokenunet.inference.request import SegmentationRequest
from tokenunet.inference.review import review
from tokenunet.inference.second_pass import second_pass_findings
from tokenunet.io.files import locked_folder, staging_folder
from tokenunet.io.overlay_files import INDEX
from tokenunet.io.result_files import DICOM_FILES, DICOM_SEG, RUN_REPORT, write_report
from tokenunet.measurement import measure
from tokenunet.preprocessing import align_study, check_sequences, prepare, restore
from tokenunet.preprocessing.register import Alignment
from tokenunet.runtime.environment import versions
from tokenunet.runtime.memory import peak_memory_bytes
from tokenunet.study.found_study import FoundStudy
from tokenunet.study.scans import Study

_STAGE_SHARES = {
    Stage.LOAD: 0.1,
    Stage.ALIGN: 0.25,
    Stage.PREPARE: 0.1,
    Stage.PREDICT: 0.4,
    Stage.RESTORE: 0.05,
    Stage.WRITE: 0.1,
}


def segment(request: SegmentationRequest, on_event: OnEvent = ignore_events) -> dict[str, Any]:
    """Segment one patient and write the results (listed in `tokenunet.inference.output`).

    Args:
        request: Inputs, output, model and options.
        on_event: Callback that receives progress, warnings and finally the result; may raise `Cancelled` to stop.

    Returns:
        Run report, as in ``run.json``.

    Raises:
        UsageError: If the inputs are not the model's, or a DICOM SEG is requested for a reference that is not DICOM.
        InputError: If the scans cannot be used.
        ModelError: If the model cannot be used.
        DeviceError: If the device is missing, or memory does not suffice.
        OutputError: If results already exist, or cannot be written.
    """
    with locked_folder(request.output):
        return _segment(request, on_event)


def _segment(request: SegmentationRequest, on_event: OnEvent) -> dict[str, Any]:
    run = _Run(on_event)
    check_output(request.output, request.force)
    if request.dicom_seg or request.dicom_out is not None:  # a missing package must not end a finished run
        from tokenunet.dicom_out.export import DicomResult, write_dicom_result, write_segmentation
    if request.dicom_out is not None:
        check_output(request.dicom_out, request.force, DICOM_FILES)
    with run.stage(Stage.LOAD):
        bundle = load_bundle(find_model(str(request.model)))
        inputs, imported = read_inputs(request, bundle.manifest), bundle.manifest.imported
        found, study, missing = inputs.found, inputs.study, inputs.missing
        run.warn(*inputs.findings)
    with run.stage(Stage.ALIGN):
        alignments, findings = align_study(study, lambda fraction: run.progress.update(Stage.ALIGN, fraction))
        run.warn(*findings, *check_sequences(study, found.series, alignments))
    with run.stage(Stage.PREPARE):
        prepared = prepare(study, bundle.manifest.space, alignments)
        run.warn(*prepared.findings)
    with run.stage(Stage.PREDICT):
        prediction, execution = predict(
            prepared,
            bundle,
            request.options,
            on_fraction=lambda fraction: run.progress.update(Stage.PREDICT, fraction),
            on_fallback=run.warn,
        )
        run.warn(*second_pass_findings(prediction, bundle.manifest))
        run.warn(*evidence_findings(prediction, bundle.manifest))
    unclaimed = unclaimed_regions(missing)
    with run.stage(Stage.RESTORE):
        if unclaimed:
            prediction = without_enhancing_tumor(prediction)
        result = restore(with_overlays(prediction, prepared), prepared, request.et_label)
        reviewed = review(prediction, prepared, result, bundle)
    with (
        run.stage(Stage.WRITE),
        staging_folder(
            request.output,
            replaces=result_patterns((*bundle.manifest.inputs.names, *earlier_channels(request.output))),
            last=RUN_REPORT,
        ) as staging,
    ):
        write_result(result, staging)
        write_preparation(study, prepared, result, staging)
        write_review(reviewed, result.grid, staging)
        report = {
            "schema": 1,
            "started": run.started,
            "versions": versions(),
            "device": execution.device,
            "device_name": execution.device_name,
            "mode": execution.mode,
            "fast": request.options.fast,
            "passes": execution.passes,
            "overlap": imported.overlap if imported else request.options.overlap,
            "precision": execution.precision,
            "fallbacks": execution.fallbacks,
            "memory": {"needed_bytes": execution.needed_bytes, "free_bytes": execution.free_bytes},
            "model": {
                "name": bundle.manifest.name,
                "path": bundle.source,
                "architecture": bundle.manifest.architecture,
                "members": bundle.manifest.members,
                "sha256": bundle.manifest.weights_sha256,
                **({"framework": bundle.manifest.training.get("framework", "unknown")} if imported else {}),
            },
            "reference": study.reference,
            "missing": missing,
            "not_segmented": unclaimed,
            "inputs": _describe_inputs(study, found),
            "excluded": found.excluded,
            "alignments": {s: _describe_alignment(a) for s, a in alignments.items()},
            "brain_extracted": prepared.brain_extracted,
            "labels": {"NCR": NCR, "ED": ED, "ET": request.et_label},
            **measure(result.regions, result.grid, unclaimed),
            "volumes_range_ml": {n: ends for n, ends in result.volumes_range_ml.items() if n not in unclaimed},
            **({} if reviewed is None else reviewed.to_json(unclaimed)),
            INDEX: [group.to_json() for group in grouped(result.overlays)],
            "warnings": run.warnings,
            "timings_s": run.timings(),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        if request.dicom_seg or request.dicom_out is not None:
            files = found.series[study.reference].files
            dicom = DicomResult.of_run(report, study.scans[study.reference].image, result.regions, files)
        if request.dicom_seg:
            write_segmentation(dicom, staging / DICOM_SEG)
        if request.dicom_out is not None:
            is_here = request.dicom_out.resolve() == request.output.resolve()
            write_dicom_result(dicom, staging if is_here else request.dicom_out)
        outputs = sorted(path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file())
        report["outputs"] = outputs
        write_report(report, staging)
    on_event(ResultEvent(str(request.output), report))
    return report


class _Run:
    """Progress, warnings and timings of a run, for events and the run report."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self.progress = Progress(on_event, _STAGE_SHARES)
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.warnings: list[dict[str, str]] = []
        self._began: dict[Stage, float] = {}
        self._ended: dict[Stage, float] = {}

    def warn(self, *findings: Finding) -> None:
        for finding in findings:
            self.warnings.append({"code": finding.code, "message": finding.message})
            self._on_event(WarningEvent(finding.code, finding.message))

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        self._began[stage] = time.perf_counter()
        self.progress.update(stage, 0)
        yield
        self._ended[stage] = time.perf_counter()
        self.progress.update(stage, 1)

    def timings(self) -> dict[str, float]:
        """Return the seconds of every stage, including the current one so far."""
        now = time.perf_counter()
        return {stage.value: round(self._ended.get(stage, now) - began, 3) for stage, began in self._began.items()}


def _describe_inputs(study: Study, found: FoundStudy) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = {}
    for sequence, scan in study.scans.items():
        grid = Grid.of(scan.image)
        described[sequence] = {
            "path": scan.source,
            "sha256": scan.sha256,
            "size": grid.size,
            "spacing": grid.spacing,
            "confidence": round(found.scans[sequence].confidence, 2),
            "because": found.scans[sequence].reason,
        }
        if sequence in found.series:
            series = found.series[sequence]
            described[sequence]["series"] = {"uid": series.uid, "folder": str(series.folder)}
    return described


def _describe_alignment(alignment: Alignment) -> dict[str, float]:
    return {
        "shift_mm": round(alignment.shift_mm, 2),
        "rotation_degrees": round(alignment.rotation_degrees, 2),
        "quality": round(alignment.quality, 3),
    }
