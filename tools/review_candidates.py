"""Measure how often a lesion that the decoder misses is among the review candidates, on synthetic patients.

    python -m tools.review_candidates --patients 20 --output review_candidates.json

A decoder that misses tumor which the encoder has detected is simulated by silencing the real one at one lesion: around
the lesion nothing is segmented (``silent``), or only the tenth of it with the highest probability (``residual``), and
the probability is 0 elsewhere there. The probe does not depend on the decoder. Each lesion of a patient is missed in
turn. Raising the threshold in the whole brain until a lesion disappears would be an alternative, but for this model it
takes logits of 10 and more, which leaves only the brightest spots of all other lesions.

A lesion counts as found if at least a quarter of a candidate is part of it; a candidate of which less than a quarter is
tumor counts as a false positive. Half of the patients are consecutive, the other half have several foci.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.bundle.bundle import ModelBundle, load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.errors import ModelError
from tokenunet.evaluation.synthetic_cases import SyntheticCase, segmented_case
from tokenunet.inference.review import reviewed_patient
from tokenunet.io.resources import resource
from tokenunet.review.candidates import ReviewCandidates, find_candidates
from tokenunet.synthesis import draw_parameters

from tools.review_patients import around, lesions, silenced

FIRST_SEED = 4 * 10**9
"""Far from the seeds of training, validation, calibration, and of the patients for which the thresholds were chosen."""
LEAST_LESION_ML = 1.0
"""Smallest lesion that is silenced: half a voxel of the bottleneck."""
_SILENCED_MM = 8.0
_RESIDUAL = 0.1
_QUARTER = 0.25

Weakening = Literal["none", "silent", "residual"]


@dataclass(frozen=True)
class Trial:
    """Patient segmented with a weakened decoder.

    Attributes:
        seed: Seed of the patient.
        weakening: Weakening of the decoder; with ``none``, no lesion is missed.
        lesion_ml: Volume of the missed lesion in ml.
        several: Whether the patient has other lesions, which are segmented.
        found: Whether the missed lesion is among the candidates.
        hints: Number of candidates.
        false_hints: Number of candidates that are not tumor.
    """

    seed: int
    weakening: Weakening
    lesion_ml: float
    several: bool
    found: bool
    hints: int
    false_hints: int


def patients_to_measure(number: int) -> list[int]:
    """Return the seeds of the patients: half of them consecutive, the other half with several foci."""
    plain = number - number // 2
    foci = ((seed, len(draw_parameters(seed).tumor.foci)) for seed in count(FIRST_SEED + plain))
    several = islice((seed for seed, n in foci if n > 1), number // 2)
    return [*range(FIRST_SEED, FIRST_SEED + plain), *several]


def trials(seed: int, case: SyntheticCase, bundle: ModelBundle) -> Iterator[Trial]:
    """Iterate over one patient with the unmodified decoder, and with each lesion missed in each way.

    Args:
        seed: Seed of the patient.
        case: Segmented patient.
        bundle: Model that segmented it.

    Raises:
        ModelError: If the model has no calibrated review.
    """
    calibration = bundle.review
    if calibration is None:
        raise ModelError(f"{bundle.source} has no calibrated review.", "Run tools.fit_review first.")
    grid = case.prepared.grid
    patient = reviewed_patient(case.prediction, case.prepared, bundle.manifest.space.channels)
    found = lesions(case.whole_tumor, grid.voxel_ml, LEAST_LESION_ML)

    def trial(weakening: Weakening, lesion: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Trial:
        hints = find_candidates(silenced(patient, kept), calibration)
        in_lesion, in_tumor = (_overlaps(hints, where, case) for where in (lesion, case.whole_tumor))
        return Trial(
            seed=seed,
            weakening=weakening,
            lesion_ml=round(float(lesion.sum()) * grid.voxel_ml, 1),
            several=len(found) > 1,
            found=any(share >= _QUARTER for share in in_lesion),
            hints=len(hints.candidates),
            false_hints=sum(share < _QUARTER for share in in_tumor),
        )

    yield trial("none", np.zeros_like(case.whole_tumor), np.ones_like(case.whole_tumor))
    for lesion in found:
        kept = ~around(lesion, _SILENCED_MM, grid.spacing) | (case.whole_tumor & ~lesion)
        yield trial("silent", lesion, kept)
        surest = _surest(case.prediction.probabilities[0], lesion & patient.segmented, _RESIDUAL * lesion.sum())
        yield trial("residual", lesion, kept | surest)


def summary(done: list[Trial]) -> dict[str, Any]:
    """Count missed lesions, found lesions and false positives by weakening."""
    counts: dict[str, Any] = {"patients": len({trial.seed for trial in done})}
    for weakening in get_args(Weakening):
        rows = [trial for trial in done if trial.weakening == weakening]
        counts[weakening] = {"false_hints_mean": round(sum(r.false_hints for r in rows) / max(1, len(rows)), 2)}
        if weakening != "none":
            counts[weakening] |= {
                group: {"missed": len(members), "listed": sum(r.found for r in members)}
                for group, members in {
                    "only_lesion": [r for r in rows if not r.several],
                    "one_of_several": [r for r in rows if r.several],
                }.items()
            }
    return counts


def sentence(counts: dict[str, Any]) -> str:
    """Return the result as a sentence."""

    def listed(weakening: str) -> str:
        groups = [counts[weakening][group] for group in ("only_lesion", "one_of_several")]
        return f"{sum(g['listed'] for g in groups)} of {sum(g['missed'] for g in groups)}"

    return (
        f"On {counts['patients']} synthetic patients, {listed('silent')} lesions that a silenced decoder missed "
        f"entirely were listed, and {listed('residual')} of which it kept a tenth; false positives per patient: "
        f"{counts['none']['false_hints_mean']} with the unmodified decoder, "
        f"{counts['silent']['false_hints_mean']} and {counts['residual']['false_hints_mean']} with the silenced one."
    )


def _overlaps(hints: ReviewCandidates, where: NDArray[np.bool_], case: SyntheticCase) -> list[float]:
    """Return the share of each candidate that is in a region of the prepared grid."""
    region = case.prepared.grid.image(where.astype(np.uint8))
    inside = sitk.GetArrayFromImage(hints.grid.resample(region, sitk.sitkNearestNeighbor)) > 0
    return [float(inside[hints.labels == hint.number].mean()) for hint in hints.candidates]


def _surest(probability: NDArray[np.float32], region: NDArray[np.bool_], voxels: float) -> NDArray[np.bool_]:
    """Return the voxels of a region with the highest probability, fewer than the given number."""
    indices = np.flatnonzero(region)
    order = np.argsort(-probability.ravel()[indices], kind="stable")
    kept = np.zeros(region.size, bool)
    kept[indices[order[: max(0, int(np.ceil(voxels)) - 1)]]] = True
    return kept.reshape(region.shape)


def main() -> None:
    """Run all trials and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--model", type=Path, help="model bundle (default: the one that ships)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the counts and every trial")
    options = parser.parse_args()
    bundle = load_bundle(options.model or resource(f"Models/{DEFAULT_MODEL}"))
    done: list[Trial] = []
    for number, seed in enumerate(patients_to_measure(options.patients), start=1):
        done += trials(seed, segmented_case(seed, bundle), bundle)
        print(f"{number}/{options.patients}", file=sys.stderr)
    counts = summary(done)
    model = {"name": bundle.manifest.name, "weights_sha256": bundle.manifest.weights_sha256}
    report = {"model": model, **counts, "trials": [asdict(trial) for trial in done]}
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(sentence(counts))


if __name__ == "__main__":
    main()
