"""Measure the review of a model on patients that it was not fitted to, and print the tables.

    python -m tools.measure_review --model Resources/Models/default --patients 60 --curve froc.svg

Missed lesions are those of at least 0.5 ml of which the model segments less than a tenth; two thirds of the patients
are perturbed. `tools.review_candidates` measures lesions that a silenced decoder leaves out. ``--prepared`` takes
a folder of prepared patients, synthetic or real, instead of making synthetic ones. ``--curve`` draws how many of the
missed lesions are found at how many false candidates (free-response ROC), whatever probability is listed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.dice import dice
from tokenunet.core.errors import ModelError
from tokenunet.core.regions import REGIONS
from tokenunet.io.figures import svg
from tokenunet.io.resources import resource
from tokenunet.review.calibration import ReviewCalibration
from tokenunet.review.candidates import find_candidates
from tokenunet.review.expected_dice import expected_dice, signals, volume_intervals
from tokenunet.review.patient import ReviewedPatient

from tools.fit_review import LEAST_MISSED_ML, LEAST_TUMOR, MISSED_SHARE, tumor_shares
from tools.review_patients import lesions, samples

FIRST_SEED = 11 * 10**9
"""Far from the seeds of the fit and of all others."""
LOW_DICE = 0.8
"""Dice of the whole tumor below which a result should be looked at first."""


@dataclass(frozen=True)
class Candidate:
    """Candidate of any probability.

    Attributes:
        probability: Its probability of being tumor.
        is_tumor: Whether at least a quarter of it is tumor.
        lesions: Indices of the missed lesions that it points to.
    """

    probability: float
    is_tumor: bool
    lesions: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """Review of one patient next to the ground truth.

    Attributes:
        name: Name of the patient.
        condition: Name of the perturbation.
        missed_ml: Volumes of the missed lesions.
        candidates: Candidates of any probability, the most probable first.
        listed: Number of those that are listed.
        dice: Dice of the regions that have an expected one.
        expected: Expected Dice with its interval, by region.
        true_ml: True volumes in ml, by region.
        interval_ml: Intervals of the volumes in ml, by region.
        seconds: Seconds that the review took.
    """

    name: str
    condition: str
    missed_ml: tuple[float, ...]
    candidates: tuple[Candidate, ...]
    listed: int
    dice: dict[str, float]
    expected: dict[str, tuple[float, float, float]]
    true_ml: dict[str, float]
    interval_ml: dict[str, tuple[float, float]]
    seconds: float


def measured(
    name: str, condition: str, patient: ReviewedPatient, truth: NDArray[np.bool_], calibration: ReviewCalibration
) -> Measured:
    """Review one patient and compare with the ground truth (3, D, H, W)."""
    predicted = patient.prediction.probabilities > 0.5
    ml = {region: float(mask.sum()) * patient.grid.voxel_ml for region, mask in zip(REGIONS, predicted, strict=True)}
    began = time.perf_counter()
    found = find_candidates(patient, replace(calibration, least_probability=0.0))
    of_regions = signals(patient)
    expected = expected_dice(of_regions, calibration)
    intervals = volume_intervals(of_regions, ml, calibration)
    seconds = time.perf_counter() - began
    missed = [
        lesion
        for lesion in lesions(truth[0], patient.grid.voxel_ml, LEAST_MISSED_ML)
        if (lesion & patient.segmented).sum() < MISSED_SHARE * lesion.sum()
    ]
    in_tumor, *in_lesions = (tumor_shares(found.labels, m, patient, found.grid.size) for m in (truth[0], *missed))
    return Measured(
        name,
        condition,
        tuple(float(lesion.sum()) * patient.grid.voxel_ml for lesion in missed),
        tuple(
            Candidate(
                candidate.probability,
                in_tumor[candidate.number] >= LEAST_TUMOR,
                tuple(i for i, shares in enumerate(in_lesions) if shares[candidate.number] >= LEAST_TUMOR),
            )
            for candidate in found.candidates
        ),
        sum(candidate.probability >= calibration.least_probability for candidate in found.candidates),
        {region: dice(predicted[REGIONS.index(region)], truth[REGIONS.index(region)]) for region in expected},  # type: ignore[call-overload]
        expected,
        {region: float(mask.sum()) * patient.grid.voxel_ml for region, mask in zip(REGIONS, truth, strict=True)},
        intervals,
        seconds,
    )


def table(done: Sequence[Measured]) -> str:
    """Return all figures, one a line."""
    lines = [f"{len(done)} patients, {sum(m.condition != 'clean' for m in done)} of them perturbed"]
    missed = sum(len(m.missed_ml) for m in done)
    for name, most in (("first 1", 1), ("first 2", 2), ("whole list", 99)):
        hit = sum(len({i for c in m.candidates[: min(most, m.listed)] for i in c.lesions}) for m in done)
        lines.append(f"missed lesions of at least {LEAST_MISSED_ML} ml in the {name}: {hit} of {missed}")
    reached = sum(len({i for c in m.candidates for i in c.lesions}) for m in done)
    lines.append(f"missed lesions that any source reaches, listed or not: {reached} of {missed}")
    lines.append(f"candidates per patient: {np.mean([m.listed for m in done]):.2f}")
    free = [m for m in done if not m.true_ml["WT"]]
    for name, group in (("all patients", done), ("tumor-free ones", free)):
        false = [sum(not c.is_tumor for c in m.candidates[: m.listed]) for m in group]
        lines.append(f"false candidates per patient, {name} ({len(group)}): {np.mean(false) if false else 0:.2f}")
    for region in REGIONS:
        rows = [m for m in done if region in m.expected and m.true_ml[region]]
        if len(rows) < 3:
            continue
        true, value = (np.array(v) for v in ([m.dice[region] for m in rows], [m.expected[region][0] for m in rows]))
        inside = np.mean([m.expected[region][1] <= m.dice[region] <= m.expected[region][2] for m in rows])
        covered = np.mean([m.interval_ml[region][0] <= m.true_ml[region] <= m.interval_ml[region][1] for m in rows])
        lines.append(
            f"{region}: Spearman of expected and true Dice {spearman(value, true):.2f}, AUROC of Dice below {LOW_DICE} "
            f"{auroc(-value, true < LOW_DICE):.2f} ({(true < LOW_DICE).sum()} of {len(rows)}), Dice in its interval "
            f"{inside:.0%}, volume in its interval {covered:.0%}"
        )
    lines.append(f"seconds of the review: median {np.median([m.seconds for m in done]):.2f}")
    return "\n".join(lines)


def free_response(done: Sequence[Measured]) -> tuple[list[float], list[float]]:
    """Return false candidates per patient and the share of missed lesions that are found, by falling probability."""
    missed = sum(len(m.missed_ml) for m in done)
    ranked = sorted(((c, n) for n, m in enumerate(done) for c in m.candidates), key=lambda pair: -pair[0].probability)
    false, found, hit = [0.0], [0.0], set[tuple[int, int]]()
    for candidate, number in ranked:
        hit |= {(number, lesion) for lesion in candidate.lesions}
        false.append(false[-1] + (not candidate.is_tumor) / len(done))
        found.append(len(hit) / max(missed, 1))
    return false, found


def curve(done: Sequence[Measured]) -> bytes:
    """Return the free-response ROC curve as SVG, with a point at what is listed."""
    false, found = free_response(done)
    listed = sum(m.listed for m in done)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.step(false, found, where="post", color="#1f5fa8")
        axes.plot(false[listed], found[listed], "o", color="#c0392b", label="what is listed")
        axes.set(xlim=(0, 3), ylim=(0, 1), xlabel="false candidates per patient", ylabel="missed lesions found")
        axes.set_title(f"{sum(len(m.missed_ml) for m in done)} lesions that the model left out, {len(done)} patients")
        axes.legend()

    return svg(draw, 5.0, 3.4)


def spearman(one: NDArray, other: NDArray) -> float:
    """Return the rank correlation of two arrays without ties."""
    first, second = (np.argsort(np.argsort(values)) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def auroc(score: NDArray, positive: NDArray[np.bool_]) -> float:
    """Return the probability that a positive one has a higher score than another; NaN if either is missing."""
    high, low = score[positive], score[~positive]
    if not len(high) or not len(low):
        return float("nan")
    return float(((high[:, None] > low) + 0.5 * (high[:, None] == low)).mean())


def calibration_of(bundle: ModelBundle) -> ReviewCalibration:
    """Return the calibration of a model.

    Raises:
        ModelError: If there is none.
    """
    if bundle.review is None:
        raise ModelError(f"{bundle.source} has no calibrated review.", "Run tools.fit_review first.")
    return bundle.review


def main() -> None:
    """Measure the review of a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of the bundle (default: the one that ships)")
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--prepared", type=Path, metavar="DIR", help="folder of prepared patients")
    parser.add_argument("--curve", type=Path, metavar="SVG", help="draw the free-response ROC curve into this file")
    parser.add_argument("--perturbed", type=float, default=0.67, help="share of perturbed ones (default: %(default)s)")
    options = parser.parse_args()
    bundle = load_bundle(options.model or resource(f"Models/{DEFAULT_MODEL}"))
    calibration = calibration_of(bundle)
    first = 0 if options.prepared else FIRST_SEED
    done = []
    for sample in samples(bundle.manifest.space, options.prepared, first, options.patients, options.perturbed):
        done.append(measured(sample.name, sample.condition, sample.reviewed(bundle), sample.regions, calibration))
        print(f"{len(done)}/{options.patients}", file=sys.stderr, flush=True)
    print(table(done))
    if options.curve:
        options.curve.write_bytes(curve(done))


if __name__ == "__main__":
    main()
