"""Measure how often a lesion that the decoder misses is among the review candidates, on synthetic patients.

    python -m tools.review_candidates --patients 20 --output review_candidates.json

A decoder that misses tumor which the encoder has detected is simulated by silencing the real one at one lesion: around
the lesion nothing is segmented (``silent``), or only the tenth of it with the highest probability (``residual``). The
attention maps do not depend on the decoder. Each lesion of a patient is missed in turn. Raising the threshold in the
whole brain until a lesion disappears would be an alternative, but for this model it takes logits of 10 and more, which
leaves only the brightest spots of all other lesions.

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
from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.evaluation.synthetic_cases import SyntheticCase, segmented_case
from tokenunet.io.resources import resource
from tokenunet.review import MapLevels, ReviewCandidates, find_review_candidates, levels_from_notes
from tokenunet.synthesis import draw_parameters

FIRST_SEED = 4 * 10**9
"""Far from the seeds of training, validation, calibration, and of the patients for which the thresholds were chosen."""
LEAST_LESION_ML = 1.0
"""Two voxels of the attention maps, which cannot show smaller lesions."""
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
        basis: Source of the knowledge which maps are tumor-selective.
    """

    seed: int
    weakening: Weakening
    lesion_ml: float
    several: bool
    found: bool
    hints: int
    false_hints: int
    basis: str


def patients_to_measure(number: int) -> list[int]:
    """Return the seeds of the patients: half of them consecutive, the other half with several foci."""
    plain = number - number // 2
    foci = ((seed, len(draw_parameters(seed).tumor.foci)) for seed in count(FIRST_SEED + plain))
    several = islice((seed for seed, n in foci if n > 1), number // 2)
    return [*range(FIRST_SEED, FIRST_SEED + plain), *several]


def trials(seed: int, case: SyntheticCase, known: tuple[MapLevels, ...]) -> Iterator[Trial]:
    """Iterate over one patient with the unmodified decoder, and with each lesion missed in each way.

    Args:
        seed: Seed of the patient.
        case: Segmented patient.
        known: Tumor-selective maps of the model.
    """
    grid = case.prepared.grid
    probability = case.prediction.probabilities[0]
    found = lesions(case.whole_tumor, grid.voxel_ml)
    nowhere = np.zeros_like(case.whole_tumor)

    def trial(weakening: Weakening, lesion: NDArray[np.bool_], segmented: NDArray[np.bool_]) -> Trial:
        assert case.prediction.attention is not None
        hints = find_review_candidates(segmented, case.prepared.brain, grid, case.prediction.attention, known)
        in_lesion, in_tumor = (_overlaps(hints, where, case) for where in (lesion, case.whole_tumor))
        return Trial(
            seed=seed,
            weakening=weakening,
            lesion_ml=round(float(lesion.sum()) * grid.voxel_ml, 1),
            several=len(found) > 1,
            found=any(share >= _QUARTER for share in in_lesion),
            hints=len(hints.candidates),
            false_hints=sum(share < _QUARTER for share in in_tumor),
            basis=hints.basis.value,
        )

    segmented = probability > 0.5
    yield trial("none", nowhere, segmented)
    for lesion in found:
        other = case.whole_tumor & ~lesion
        silent = segmented & (~_within(lesion, _SILENCED_MM, grid.spacing) | other)
        yield trial("silent", lesion, silent)
        yield trial("residual", lesion, silent | _surest(probability, lesion & segmented, _RESIDUAL * lesion.sum()))


def lesions(tumor: NDArray[np.bool_], voxel_ml: float) -> list[NDArray[np.bool_]]:
    """Return the connected components of a tumor (D, H, W) of at least `LEAST_LESION_ML`, by decreasing volume."""
    labels = sitk.RelabelComponent(
        sitk.ConnectedComponent(sitk.GetImageFromArray(tumor.astype(np.uint8))), int(LEAST_LESION_ML / voxel_ml)
    )
    parts = sitk.GetArrayFromImage(labels)
    return [parts == number for number in range(1, int(parts.max()) + 1)]


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


def _within(region: NDArray[np.bool_], distance_mm: float, spacing: tuple[float, ...]) -> NDArray[np.bool_]:
    image = sitk.GetImageFromArray(region.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryDilate(image, [round(distance_mm / s) for s in spacing])).astype(bool)


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
    known = levels_from_notes(bundle.manifest.training.get("tumor_selective_maps"))
    done: list[Trial] = []
    for number, seed in enumerate(patients_to_measure(options.patients), start=1):
        done += trials(seed, segmented_case(seed, bundle), known)
        print(f"{number}/{options.patients}", file=sys.stderr)
    counts = summary(done)
    model = {"name": bundle.manifest.name, "weights_sha256": bundle.manifest.weights_sha256}
    report = {"model": model, **counts, "trials": [asdict(trial) for trial in done]}
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(sentence(counts))


if __name__ == "__main__":
    main()
