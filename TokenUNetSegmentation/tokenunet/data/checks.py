"""Checks of a dataset before training."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import SimpleITK as sitk

from tokenunet.core.errors import InputError
from tokenunet.core.events import OnEvent, Progress, Stage, ignore_events
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.regions import REGIONS, regions_from_labels
from tokenunet.core.sequences import SequenceName
from tokenunet.data.cases import Case, Dataset, DatasetFinding, Severity, read_scans, read_truth_and_values
from tokenunet.data.fingerprint import fingerprint
from tokenunet.data.label_doubts import doubts_about_labels
from tokenunet.data.report import CaseFacts, DatasetReport, by
from tokenunet.io.files import sha256_of
from tokenunet.preprocessing import check_sequences, prepare
from tokenunet.study.image_files import is_in_image_format
from tokenunet.study.scans import Study

_MOST_NAMES = 8
"""Number of ignored files that a message lists."""
_TRUTH = "ground truth"
_CHECKED_AT_ONCE = 4
"""Number of cases that are checked in parallel, about 0.5 GB each."""


@dataclass
class _Examined:
    """Results of reading one case."""

    case: Case
    findings: list[DatasetFinding] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the files, by sequence and of the ground truth."""
    voxels: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the voxels, by sequence and of a ground truth with tumor, whatever the file format."""
    values: frozenset[int] = frozenset()
    facts: CaseFacts | None = None

    def add(self, code: str, severity: Severity, message: str) -> None:
        self.findings.append(DatasetFinding(code, severity, self.case.name, message))

    def add_error(self, error: InputError) -> None:
        self.add(error.code, "error", f"{error} {error.hint}".rstrip())


def check_dataset(dataset: Dataset, on_event: OnEvent = ignore_events) -> DatasetReport:
    """Read every file once and report everything that would break or bias training.

    Args:
        dataset: Dataset from `read_dataset`.
        on_event: Callback that receives progress; an exception from it cancels the call.
    """
    progress = Progress(on_event, {Stage.CHECK: 1.0})
    progress.update(Stage.CHECK, 0.0)
    examined: dict[str, _Examined] = {}
    with ThreadPoolExecutor(min(_CHECKED_AT_ONCE, os.cpu_count() or 1)) as pool:
        try:
            for done in as_completed([pool.submit(_examine, case, dataset.channels) for case in dataset.cases]):
                examined[done.result().case.name] = done.result()
                progress.update(Stage.CHECK, len(examined) / len(dataset.cases))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    in_order = [examined[case.name] for case in dataset.cases]
    findings = [*dataset.findings, *(finding for one in in_order for finding in one.findings), *_together(in_order)]
    findings += doubts_about_labels(dataset, {one.case.name: one.values for one in in_order})
    return DatasetReport(
        folder=dataset.folder,
        layout=dataset.layout,
        cases=tuple(case.name for case in dataset.cases),
        patients=len(dataset.patients),
        grouping=dataset.grouping,
        label_values=dict(dataset.cases[0].label_values) if dataset.cases else {},
        facts=tuple(one.facts for one in in_order if one.facts),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity)),
        fingerprint=fingerprint(dataset, {one.case.name: one.files for one in in_order}),
    )


def _examine(case: Case, channels: Sequence[SequenceName]) -> _Examined:
    one = _Examined(case)
    grids: list[Grid] = []
    missing = [sequence for sequence in channels if sequence not in case.images]
    if missing:
        one.add("missing_sequence", "error", f"There is no {' and no '.join(missing)}.{_not_taken(case)}")
    else:
        try:
            study = read_scans(case, channels)
            grids = [Grid.of(study.scans[s].image) for s in (study.reference, *channels)]
            _examine_scans(one, study)
        except InputError as error:
            one.add_error(error)
    if case.truth is None:
        one.add("missing_truth", "error", f"There is no ground truth.{_not_taken(case)}")
        return one
    try:
        truth, one.values = read_truth_and_values(case)
        one.files["truth"] = sha256_of(case.truth)
        _examine_truth(one, truth, grids)
    except InputError as error:
        one.add_error(error)
    return one


def _not_taken(case: Case) -> str:
    """Return a sentence that names the ignored files in a case's folder."""
    folders = {source.path.parent for source in case.images.values() if source.channel is None}
    used = {source.path for source in case.images.values()} | {case.truth}
    files = sorted(path for folder in folders for path in folder.iterdir() if path not in used)
    names = [path.name for path in files if is_in_image_format(path)]
    if not names or len(folders) > 1:
        return ""
    shown = ", ".join(names[:_MOST_NAMES]) + (" and more" if len(names) > _MOST_NAMES else "")
    return f" Not taken for it: {shown}. Name the scans as t1, t1ce, t2, flair and the ground truth as seg."


def _examine_scans(one: _Examined, study: Study) -> None:
    one.files |= {sequence: scan.sha256 for sequence, scan in study.scans.items()}
    for sequence, scan in study.scans.items():
        one.voxels[sequence] = hashlib.sha256(sitk.GetArrayViewFromImage(scan.image)).hexdigest()
    reference = Grid.of(study.scans[study.reference].image)
    others = [s for s, scan in study.scans.items() if not Grid.of(scan.image).same_as(reference)]
    # Preprocessing as in training makes errors appear now instead of then.
    prepared = prepare(study, ModelSpace(tuple(study.scans), reference.spacing, "LPS"))
    if others:
        one.add(
            "grid_mismatch",
            "warning",
            f"{', '.join(others)} {'has' if len(others) == 1 else 'have'} other voxels than {study.reference} and "
            "will be resampled.",
        )
    for finding in (*prepared.findings, *check_sequences(study)):
        one.add(finding.code, "warning", finding.message)


def _examine_truth(one: _Examined, truth: sitk.Image, grids: list[Grid]) -> None:
    """Check the ground truth against the grids of the scans, the reference first; empty if the scans are unreadable."""
    own = Grid.of(truth)
    if grids and not any(own.same_as(grid) for grid in grids):
        one.add(
            "grid_mismatch",
            "error",
            f"{one.case.truth} is on the grid of none of the scans: {by(own.size)} voxels of {by(own.spacing)} mm "
            f"from {by(own.origin)}. Resample it to T1ce.",
        )
        return
    labels = sitk.GetArrayViewFromImage(truth)
    if labels.any():
        one.voxels[_TRUTH] = hashlib.sha256(labels).hexdigest()
    else:
        one.add("empty_truth", "warning", f"{one.case.truth} marks no tumor.")
    if grids:
        reference = grids[0]
        volumes = regions_from_labels(labels).sum(axis=(1, 2, 3)) * own.voxel_ml
        one.facts = CaseFacts(
            name=one.case.name,
            patient=one.case.patient,
            size=reference.size,
            spacing=reference.spacing,
            volumes_ml={region: round(float(v), 3) for region, v in zip(REGIONS, volumes, strict=True)},
            sha256=one.files,
        )


def _together(examined: list[_Examined]) -> list[DatasetFinding]:
    """Return the findings that depend on all cases: duplicates, time points, number of patients."""
    findings = _duplicates(examined)
    patients: dict[str, list[str]] = defaultdict(list)
    for one in examined:
        patients[one.case.patient].append(one.case.name)
    for patient, names in patients.items():
        if len(names) > 1:
            message = f"Patient {patient} has {len(names)} cases ({', '.join(names)}), which will stay in one fold."
            findings.append(DatasetFinding("time_points", "warning", names[0], message))
    if len(patients) < 2:
        message = "There are fewer than 2 patients, so none can train while another validates. Add patients."
        if len(examined) > 1:
            message += " If the cases are of several, say so in a CSV with a column patient."
        findings.append(DatasetFinding("too_few_patients", "error", "", message))
    return findings


def _duplicates(examined: list[_Examined]) -> list[DatasetFinding]:
    first: dict[str, Case] = {}
    same: dict[tuple[str, str], list[str]] = defaultdict(list)
    by_name = {one.case.name: one.case for one in examined}
    for one in examined:
        for image, sha256 in one.voxels.items():
            original = first.setdefault(sha256, one.case)
            if original is not one.case:
                same[original.name, one.case.name].append(image)
    findings = []
    for (original_name, copy), images in same.items():
        of_one_patient = by_name[original_name].patient == by_name[copy].patient
        message = f"Its {', '.join(images)} {'is' if len(images) == 1 else 'are'} the same as in {original_name}. "
        hint = "Correct one of the two." if images == [_TRUTH] else "Take one of the two out."
        message += "They will stay in one fold." if of_one_patient else hint
        findings.append(DatasetFinding("duplicate", "warning" if of_one_patient else "error", copy, message))
    return findings
