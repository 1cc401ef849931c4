"""Measure the follow-up on synthetic patients: repeatability of volumes, and known changes.

    python -m tools.follow_up --unchanged 40 --changed 40 --output WORK

Every patient has a second scan in another pose (up to 10° and 10 mm), with another contrast and other artifacts. The
tumor of the unchanged ones is the same. The others' tumors grew or shrank to 0.7 to 1.4 times the radius, and in a
fourth of them a second lesion came or went. The errors of the changes of both give `tokenunet.followup.uncertainty`.
Reported are how many changes of volume are within the uncertainty that was fitted to the other half of the patients,
how many lesions are matched correctly, how many of the others were missed by the segmentation, and the error of the
alignment. Finished patients are kept in WORK/patients.jsonl, so that the same command continues. Their scans and
segmentations stay in WORK, too: without that file, everything but the segmentation is measured again.
"""

import argparse
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.bundle.store import DEFAULT_MODEL, find_manifest
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS, RegionName, regions_from_labels
from tokenunet.followup.changes import LESIONS
from tokenunet.followup.lesions import LesionMasks, MatchedLesions, match_lesions
from tokenunet.followup.output import RESULTS, TRANSFORMS, labels_file
from tokenunet.followup.pipeline import follow_up
from tokenunet.followup.request import FollowUpRequest
from tokenunet.followup.uncertainty import Repeatability
from tokenunet.synthesis import Kind, SyntheticPatient, draw_parameters
from tokenunet.synthesis.patient import PatientParameters, make_patient
from tokenunet.synthesis.writing import in_field_of_view

from tools.registration import random_motion

FOUND_MM = 1.0
_FIRST_SEED = 6 * 10**9
_OTHER_SCAN = 10**8
"""Difference of the seed of the second scan's contrast and artifacts."""
_MOST_DEGREES, _MOST_MM, _MARGIN_MM = 10.0, 10.0, 20.0
_FACTORS = (0.7, 1.4)
_SECOND_LESION = 0.25
_NAMES = ("2020-01-01", "2020-04-01")
_WRITTEN = "written"
"""Empty file that says that all scans of a patient were written."""
_LEVEL = 0.95
"""Share of the errors that the uncertainty covers."""
_PER_ML = tuple(np.geomspace(0.001, 10, 60).tolist())
"""Tried increases of the squared error for each ml, relative to the squared constant."""
_LEAST_TRUE_ML = 0.5
"""Smallest lesion of the ground truth that is looked for."""


@dataclass(frozen=True)
class Patient:
    """Result of one patient.

    Attributes:
        seed: Seed of the patient.
        changed: Whether the tumor changed.
        true_ml: Volumes at both time points in the ground truth, by region.
        measured_ml: The same as measured.
        error_mm: Mean distance of the brain's voxels from their true positions after alignment, in mm.
        quality: Quality of the alignment.
        lesions: Number of lesions of the ground truth, by region.
        matched: Number of them that were matched correctly.
        segmented: Number of them that the segmentation shows at the time points at which they are there.
        aligned: Number of them that are matched correctly with the ground truth in place of the segmentation.
    """

    seed: int
    changed: bool
    true_ml: dict[str, list[float]]
    measured_ml: dict[str, list[float]]
    error_mm: float
    quality: float
    lesions: dict[str, int]
    matched: dict[str, int]
    segmented: dict[str, int]
    aligned: dict[str, int]


def parameters_over_time(seed: int, changed: bool) -> tuple[PatientParameters, PatientParameters]:
    """Return the parameters of a patient with a tumor at both time points.

    Args:
        seed: Seed of the patient.
        changed: Whether the tumor changes.
    """
    random = np.random.default_rng(seed)
    first, other = draw_parameters(seed), draw_parameters(seed + _OTHER_SCAN)
    while first.tumor.kind is Kind.HEALTHY:
        seed += 1
        first = draw_parameters(seed)
    tumor = first.tumor
    if changed:
        factor = math.exp(random.uniform(*np.log(_FACTORS)))
        foci = tuple(replace(f, radii_mm=tuple(factor * r for r in f.radii_mm)) for f in tumor.foci)
        if random.random() < _SECOND_LESION:
            if len(foci) > 1:
                foci = foci[:1]
            elif other.tumor.foci:
                foci = (*foci, other.tumor.foci[0])
        tumor = replace(tumor, foci=foci, edema_ml=tumor.edema_ml * factor**3)
    return first, replace(first, tumor=tumor, contrast=other.contrast, artifacts=other.artifacts)


def measure(seed: int, changed: bool, spacing: float, work: Path) -> Patient:
    """Create a patient's scans, follow them up, and compare with the ground truth.

    Args:
        seed: Seed of the patient.
        changed: Whether the tumor changes.
        spacing: Spacing of the scans in mm.
        work: Folder for scans and results; those of an earlier measurement are not segmented again.
    """
    random = np.random.default_rng(seed + 1)
    patients = [make_patient(seed, spacing, parameters) for parameters in parameters_over_time(seed, changed)]
    brain = in_field_of_view(patients[0], patients[0].images["T1ce"]) != 0
    indices = np.argwhere(sitk.GetArrayViewFromImage(brain))[::500, ::-1]
    points = [brain.TransformIndexToPhysicalPoint(index) for index in indices.tolist()]
    motion = random_motion(random, tuple(np.mean(points, axis=0)), _MOST_DEGREES, _MOST_MM)
    output = work / "output"
    if not (work / _WRITTEN).exists():
        shutil.rmtree(work, ignore_errors=True)
        for name, patient, moves in zip(_NAMES, patients, (None, motion), strict=True):
            _write(patient, work / "patient" / name, moves)
        (work / _WRITTEN).touch()
    for entry in output.iterdir() if output.exists() else ():
        if entry.name != RESULTS:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    report = follow_up(FollowUpRequest(work / "patient", output))
    transform = sitk.ReadTransform(output / TRANSFORMS / f"{_NAMES[1]}.tfm")
    errors = [math.dist(transform.TransformPoint(p), motion.TransformPoint(p)) for p in points]
    truth_images = [in_field_of_view(patient, patient.labels) for patient in patients]
    truths = [regions_from_labels(sitk.GetArrayFromImage(image)) for image in truth_images]
    found = [regions_from_labels(sitk.GetArrayFromImage(sitk.ReadImage(output / labels_file(name)))) for name in _NAMES]
    grid = Grid.of(brain)
    # The ground truth as it would be displayed if it had been segmented: at the error of the alignment.
    error = sitk.CompositeTransform([motion.GetInverse(), transform])
    moved = regions_from_labels(sitk.GetArrayFromImage(grid.resample(truth_images[1], sitk.sitkNearestNeighbor, error)))
    counts = {region: _matched(truths, found, [truths[0], moved], region, grid) for region in LESIONS}
    return Patient(
        seed,
        changed,
        {name: [float(t[i].sum()) * grid.voxel_ml for t in truths] for i, name in enumerate(REGIONS)},
        {name: [point["volumes_ml"][name] for point in report["time_points"]] for name in REGIONS},
        float(np.mean(errors)),
        report["time_points"][1]["alignment"]["quality"],
        *({region: count[i] for region, count in counts.items()} for i in range(4)),
    )


def _write(patient: SyntheticPatient, folder: Path, motion: sitk.Transform | None) -> None:
    """Write a patient's scans, moved within a larger field of view."""
    folder.mkdir(parents=True)
    for sequence, box in patient.images.items():
        image = sitk.Cast(in_field_of_view(patient, box), sitk.sitkFloat32)
        if motion is not None:
            margin = [round(_MARGIN_MM / s) for s in image.GetSpacing()]
            image = Grid.of(sitk.ConstantPad(image, margin, margin)).resample(image, transform=motion.GetInverse())
        sitk.WriteImage(image, folder / f"{sequence}.nii")


def _matched(
    truths: list[NDArray[np.bool_]],
    found: list[NDArray[np.bool_]],
    aligned_truths: list[NDArray[np.bool_]],
    region: RegionName,
    grid: Grid,
) -> tuple[int, int, int, int]:
    """Return the numbers of lesions, of those matched, segmented, and matched with the ground truth as segmentation.

    The lesions are those that the follow-up would list for the ground truth: the same gaps separate them, and the same
    specks are none.
    """
    index, extent = REGIONS.index(region), REGIONS.index(LESIONS[region])

    def lesions_of(times: list[NDArray[np.bool_]]) -> MatchedLesions:
        return match_lesions([LesionMasks(time[index], time[extent], grid) for time in times])

    true, measured, aligned = lesions_of(truths), lesions_of(found), lesions_of(aligned_truths)
    counts = [0, 0, 0, 0]
    for number, lesion in enumerate(true.lesions, start=1):
        if max(lesion.volumes_ml) >= _LEAST_TRUE_ML:
            shown = [(m[t == number] > 0).any() for m, t in zip(measured.numbers, true.numbers, strict=True)]
            counts[0] += 1
            counts[1] += _is_matched(number, true, measured)
            counts[2] += shown == [volume > 0 for volume in lesion.volumes_ml]
            counts[3] += _is_matched(number, true, aligned)
    return counts[0], counts[1], counts[2], counts[3]


def _is_matched(number: int, true: MatchedLesions, measured: MatchedLesions) -> bool:
    """Return whether a single lesion is in the place of a true one, at the same time points, and in no other place."""
    own = set(np.unique(measured.numbers[:, (true.numbers == number).any(axis=0)]).tolist()) - {0}
    if len(own) != 1:
        return False
    lesion = own.pop()
    times = [[v > 0 for v in of.lesions[n - 1].volumes_ml] for of, n in ((true, number), (measured, lesion))]
    reached = np.unique(true.numbers[:, (measured.numbers == lesion).any(axis=0)])
    return times[0] == times[1] and not set(reached.tolist()) - {0, number}


def fitted_errors(patients: list[Patient]) -> dict[RegionName, tuple[float, float]]:
    """Return constant and increase of the uncertainty that covers 95 % of the errors with the smallest mean logarithm.

    The quantile is that of conformal prediction, which covers 95 % of further patients, too.

    Args:
        patients: Patients with and without change.
    """
    errors: dict[RegionName, tuple[float, float]] = {}
    for region in REGIONS:
        first, second = np.array([patient.measured_ml[region] for patient in patients]).T
        true_first, true_second = np.array([patient.true_ml[region] for patient in patients]).T
        error = np.abs(second - first - true_second + true_first)
        rank = min(len(patients), math.ceil((len(patients) + 1) * _LEVEL)) - 1
        fits = []
        for per_ml in _PER_ML:
            width = np.sqrt(1 + per_ml * np.maximum(first, second))
            constant = float(np.sort(error / width)[rank])
            fits.append((float(np.log(constant * width).mean()), constant, per_ml * constant**2))
        _, constant, increase = min(fits)
        errors[region] = round(constant, 2), round(increase, 1)
    return errors


def summary(patients: list[Patient], model: str) -> dict[str, Any]:
    """Return the figures of all patients.

    Args:
        patients: Patients with and without change.
        model: Name of the model.
    """
    unchanged, changed = ([p for p in patients if p.changed is state] for state in (False, True))
    figures: dict[str, Any] = {
        "model": model,
        "unchanged": len(unchanged),
        "changed": len(changed),
        "alignment_error_mm": {
            "median": round(float(np.median([p.error_mm for p in patients])), 2),
            "most": round(max(p.error_mm for p in patients), 2),
            "below_1_mm": sum(p.error_mm < FOUND_MM for p in patients),
        },
        "least_quality": round(min(p.quality for p in patients), 2),
        "lesions": {
            region: {
                name: sum(getattr(p, name)[region] for p in patients)
                for name in ("lesions", "matched", "segmented", "aligned")
            }
            for region in LESIONS
        },
    }
    figures["errors"] = fitted_errors(patients)
    by_seed = sorted(patients, key=lambda patient: patient.seed)
    halves = by_seed[: len(by_seed) // 2], by_seed[len(by_seed) // 2 :]
    within = {state: dict.fromkeys(REGIONS, 0) for state in ("unchanged", "changed")}
    for fitted, judged in (halves, halves[::-1]):
        repeatability = Repeatability(model, len(fitted), fitted_errors(fitted))
        for patient in judged:
            for region in REGIONS:
                state = "changed" if patient.changed else "unchanged"
                within[state][region] += _is_within(patient, region, repeatability)
    figures["within_uncertainty_of_the_other_half"] = within
    return figures


def _is_within(patient: Patient, region: RegionName, repeatability: Repeatability) -> bool:
    """Return whether the measured change differs from the true one by no more than the uncertainty."""
    (before, after), (true_before, true_after) = patient.measured_ml[region], patient.true_ml[region]
    return abs((after - before) - (true_after - true_before)) <= repeatability.change_ml(region, before, after)


def patients_of(options: argparse.Namespace) -> Iterator[Patient]:
    """Yield the patients, with and without change in turn, those of an earlier run first.

    Args:
        options: Parsed arguments.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    kept = options.output / "patients.jsonl"
    earlier = [Patient(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    yield from earlier
    done = {(patient.seed, patient.changed) for patient in earlier}
    for number in range(max(options.unchanged, options.changed)):
        for changed, count in ((True, options.changed), (False, options.unchanged)):
            seed = _FIRST_SEED + 20 * (options.first + number) + 10 * changed
            if number < count and (seed, changed) not in done:
                patient = measure(seed, changed, options.spacing, options.output / str(seed))
                with kept.open("a") as file:
                    file.write(json.dumps(asdict(patient)) + "\n")
                yield patient


def main() -> None:
    """Measure the patients and print the figures after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unchanged", type=int, default=40)
    parser.add_argument("--changed", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first patient, from 0")
    parser.add_argument("--spacing", type=float, default=1.0, help="spacing of the scans in mm")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    manifest = find_manifest(DEFAULT_MODEL)
    model = f"{manifest.name}, {manifest.weights_sha256[:8]}"
    patients = []
    for patient in patients_of(options):
        patients.append(patient)
        print(patient, flush=True)
    print(json.dumps(summary(patients, model), indent=1))


if __name__ == "__main__":
    main()
