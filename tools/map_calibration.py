"""Measure on synthetic patients which of a model's attention maps are tumor-selective, and record it in the model.

    python -m tools.map_calibration --model Resources/Models/default

The record, ``training.tumor_selective_maps`` of ``model.json``, is used to find review candidates in patients with too
little segmented tumor to measure the maps.
"""

import argparse
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tokenunet.bundle.bundle import ModelBundle, load_bundle, save_bundle
from tokenunet.evaluation.synthetic_cases import segmented_case
from tokenunet.review import Basis, MapLevels, find_review_candidates

FIRST_SEED = 2 * 10**9
"""Far from the seeds of training, validation and measurement."""
_LEAST_SHARE = 0.8
"""Smallest share of patients in whom a recorded map is tumor-selective."""


def calibrated(bundle: ModelBundle, patients: int) -> tuple[MapLevels, ...]:
    """Return the maps that are selective for the true tumor of synthetic patients, with their median levels.

    Args:
        bundle: Model with attention maps.
        patients: Number of synthetic patients.

    Raises:
        ModelError: If the model has no attention maps.
    """
    measured = []
    for seed in range(FIRST_SEED, FIRST_SEED + patients):
        case = segmented_case(seed, bundle)
        assert case.prediction.attention is not None
        hints = find_review_candidates(
            case.whole_tumor, case.prepared.brain, case.prepared.grid, case.prediction.attention
        )
        if hints.basis is Basis.PATIENT:
            measured.append(hints.selective_maps)
    return consensus(measured)


def consensus(measured: Iterable[tuple[MapLevels, ...]]) -> tuple[MapLevels, ...]:
    """Return the maps that are tumor-selective in most patients, each with the medians over those patients.

    Args:
        measured: Tumor-selective maps of each patient.
    """
    by_map: dict[tuple[str, int], list[MapLevels]] = {}
    patients = 0
    for levels in measured:
        patients += 1
        for one in levels:
            by_map.setdefault((one.kind, one.number), []).append(one)
    return tuple(
        MapLevels(kind, number, *(_median(many, name) for name in ("outside", "inside", "separation")))
        for (kind, number), many in sorted(by_map.items())
        if len(many) >= _LEAST_SHARE * patients
    )


def _median(many: list[MapLevels], name: str) -> float:
    return round(float(np.median([getattr(one, name) for one in many])), 4)


def main() -> None:
    """Calibrate a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the bundle, which is rewritten")
    parser.add_argument("--patients", type=int, default=8)
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    levels = calibrated(bundle, options.patients)
    training = {**bundle.manifest.training, "tumor_selective_maps": [asdict(one) for one in levels]}
    networks = (bundle.build(member) for member in range(bundle.manifest.members))
    save_bundle(options.model, replace(bundle.manifest, training=training), networks)
    print(f"{options.model}: {', '.join(one.name for one in levels) or 'no tumor-selective map'}")


if __name__ == "__main__":
    main()
