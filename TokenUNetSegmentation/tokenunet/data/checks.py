"""The doctor: what is wrong with a dataset, told before a single step is trained."""

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import SimpleITK as sitk

from tokenunet.core.errors import InputError
from tokenunet.core.events import OnEvent, Progress, Stage, ignore_events
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.regions import REGIONS, regions_from_labels
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.data.cases import Case, Dataset, Finding, Severity, read_study, read_truth_and_values
from tokenunet.data.fingerprint import fingerprint
from tokenunet.data.report import CaseFacts, DatasetReport, by
from tokenunet.io.files import sha256_of
from tokenunet.preprocessing import check_sequences, prepare
from tokenunet.study.scans import Study

_CHECKED_AT_ONCE = 4
"""A case takes about half a GB while it is being checked."""


@dataclass
class _Examined:
    """What was seen of one case."""

    case: Case
    findings: list[Finding] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 by sequence and ``truth``."""
    voxels: dict[SequenceName, str] = field(default_factory=dict)
    """SHA-256 of the values, which a copy in another file format shares."""
    values: frozenset[int] = frozenset()
    facts: CaseFacts | None = None

    def add(self, code: str, severity: Severity, message: str) -> None:
        self.findings.append(Finding(code, severity, self.case.name, message))

    def add_error(self, error: InputError) -> None:
        self.add(error.code, "error", f"{error} {error.hint}".rstrip())


def check_dataset(dataset: Dataset, on_event: OnEvent = ignore_events) -> DatasetReport:
    """Reads every file once and reports all that training would stumble over.

    Args:
        dataset: as `read_dataset` found it.
        on_event: receives progress; may raise to stop.
    """
    progress = Progress(on_event, {Stage.CHECK: 1.0})
    progress.update(Stage.CHECK, 0.0)
    examined: dict[str, _Examined] = {}
    with ThreadPoolExecutor(min(_CHECKED_AT_ONCE, os.cpu_count() or 1)) as pool:
        try:
            for done in as_completed([pool.submit(_examine, case) for case in dataset.cases]):
                examined[done.result().case.name] = done.result()
                progress.update(Stage.CHECK, len(examined) / len(dataset.cases))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    in_order = [examined[case.name] for case in dataset.cases]
    findings = [*dataset.findings, *(finding for one in in_order for finding in one.findings), *_together(in_order)]
    return DatasetReport(
        folder=dataset.folder,
        layout=dataset.layout,
        cases=tuple(case.name for case in dataset.cases),
        patients=len(dataset.patients),
        facts=tuple(one.facts for one in in_order if one.facts),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity)),
        fingerprint=fingerprint(dataset, {one.case.name: one.files for one in in_order}),
    )


def _examine(case: Case) -> _Examined:
    one = _Examined(case)
    grids: list[Grid] = []
    missing = [sequence for sequence in SEQUENCES if sequence not in case.images]
    if missing:
        one.add("missing_sequence", "error", f"There is no {' and no '.join(missing)}.")
    else:
        try:
            study = read_study(case)
            grids = [Grid.of(study.scans[sequence].image) for sequence in SEQUENCES]
            _examine_scans(one, study)
        except InputError as error:
            one.add_error(error)
    if case.truth is None:
        one.add("missing_truth", "error", "There is no truth: no segmentation by an expert.")
        return one
    try:
        truth, one.values = read_truth_and_values(case)
        one.files["truth"] = sha256_of(case.truth)
        _examine_truth(one, truth, grids)
    except InputError as error:
        one.add_error(error)
    return one


def _examine_scans(one: _Examined, study: Study) -> None:
    one.files |= {sequence: scan.sha256 for sequence, scan in study.scans.items()}
    for sequence, scan in study.scans.items():
        one.voxels[sequence] = hashlib.sha256(sitk.GetArrayViewFromImage(scan.image)).hexdigest()
    reference = Grid.of(study.scans[study.reference].image)
    others = [s for s, scan in study.scans.items() if not Grid.of(scan.image).same_as(reference)]
    # Prepared as for training, so that nothing can go wrong there that does not go wrong here.
    prepared = prepare(study, ModelSpace(SEQUENCES, reference.spacing, "LPS"))
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
    """``grids`` are those of the scans, in the order of `SEQUENCES`; empty where they could not be read."""
    own = Grid.of(truth)
    if grids and not any(own.same_as(grid) for grid in grids):
        one.add(
            "grid_mismatch",
            "error",
            f"{one.case.truth} lies on the grid of none of the scans: {by(own.size)} voxels of {by(own.spacing)} mm "
            f"from {by(own.origin)}. Resample it to T1ce.",
        )
        return
    labels = sitk.GetArrayViewFromImage(truth)
    if not labels.any():
        one.add("empty_truth", "warning", f"{one.case.truth} marks no tumor.")
    if grids:
        reference = grids[SEQUENCES.index("T1ce")]
        volumes = regions_from_labels(labels).sum(axis=(1, 2, 3)) * own.voxel_ml
        one.facts = CaseFacts(
            name=one.case.name,
            patient=one.case.patient,
            size=reference.size,
            spacing=reference.spacing,
            volumes_ml={region: round(float(v), 3) for region, v in zip(REGIONS, volumes, strict=True)},
            sha256=one.files,
        )


def _together(examined: list[_Examined]) -> list[Finding]:
    """What only shows when all cases are seen."""
    cases = [one.case for one in examined]
    findings = _duplicates(examined)
    by_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case.name)
    for patient, names in by_patient.items():
        if len(names) > 1:
            message = f"Patient {patient} has {len(names)} cases ({', '.join(names)}), which will stay in one fold."
            findings.append(Finding("time_points", "warning", names[0], message))
    if len(by_patient) < 2:
        message = "There are fewer than 2 patients, so none can train while another validates."
        findings.append(Finding("too_few_patients", "error", "", message))
    old, new = ([one.case.name for one in examined if _free_et(one) and et in one.values] for et in (4, 3))
    if old and new:
        message = (
            f"{len(old)} truths mark enhancing tumor with 4 (as {old[0]}), {len(new)} with 3 (as {new[0]}). If these "
            "are data of BraTS 2024 or later, 4 is the resection cavity and must not be trained on as tumor."
        )
        findings.append(Finding("mixed_labels", "warning", "", message))
    return findings


def _free_et(one: _Examined) -> bool:
    """Whether both 3 and 4 are taken as enhancing tumor."""
    return {3, 4} <= set(one.case.label_values)


def _duplicates(examined: list[_Examined]) -> list[Finding]:
    first: dict[str, Case] = {}
    same: dict[tuple[str, str], list[SequenceName]] = defaultdict(list)
    by_name = {one.case.name: one.case for one in examined}
    for one in examined:
        for sequence, sha256 in one.voxels.items():
            original = first.setdefault(sha256, one.case)
            if original is not one.case:
                same[original.name, one.case.name].append(sequence)
    findings = []
    for (original_name, copy), sequences in same.items():
        of_one_patient = by_name[original_name].patient == by_name[copy].patient
        message = (
            f"Its {', '.join(sequences)} {'is' if len(sequences) == 1 else 'are'} the same as in {original_name}. "
        )
        message += "They will stay in one fold." if of_one_patient else "Take one of the two out."
        findings.append(Finding("duplicate", "warning" if of_one_patient else "error", copy, message))
    return findings
