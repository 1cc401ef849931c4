"""Measure how far attention maps overlap with the tumor, and print the table.

    python -m tools.attention_overlap --prepared patients --patients 20

As the authors of Token-UNet do it: each map is scaled from its minimum to its maximum, and of the N maps the one with
the highest soft Dice counts, for each patient and region. Next to it stands the area under the ROC curve of the best
map, either way up for TokenFuser, whose maps have no sign of their own. ``--prepared`` takes a folder of prepared
patients, synthetic or real, instead of making synthetic ones.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS
from tokenunet.inference.predict import predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.io.resources import resource

from tools.review_patients import Sample, samples

FIRST_SEED = 12 * 10**9
"""Far from all other seeds."""


def overlaps(stack: NDArray[np.float32], shares: NDArray[np.float32], either_sign: bool) -> tuple[float, float]:
    """Return the soft Dice of the best map, and the area under the ROC curve of the best one.

    Args:
        stack: Attention maps (N, d, h, w).
        shares: Share of each voxel that is in the region, (d, h, w).
        either_sign: Whether a map may also be low in the region.
    """
    inside = shares >= 0.5
    scores, areas = [], []
    for values in stack:
        scaled = (values - values.min()) / max(float(np.ptp(values)), 1e-9)
        scores.append(float(2 * (scaled * shares).sum() / (scaled.sum() + shares.sum())))
        area = _area(values[inside], values[~inside])
        areas.append(max(area, 1 - area) if either_sign else area)
    return max(scores), max(areas)


def _area(inside: NDArray[np.float32], outside: NDArray[np.float32]) -> float:
    if not len(inside) or not len(outside):
        return float("nan")
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, "left") + np.searchsorted(ordered, inside, "right")
    return float(below.mean() / 2 / len(ordered))


def pooled(mask: NDArray[np.bool_], sample: Sample, grid: Grid) -> NDArray[np.float32]:
    """Return the share of each voxel of the maps that is in a mask of the prepared grid."""
    own = sample.prepared.grid
    factor = round(grid.spacing[0] / own.spacing[0])
    averaged = sitk.BoxMean(own.image(mask.astype(np.float32)), [factor // 2] * 3)
    return sitk.GetArrayFromImage(grid.resample(averaged))


def main() -> None:
    """Measure the maps of a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of the bundle (default: the one that ships)")
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--prepared", type=Path, metavar="DIR", help="folder of prepared patients")
    options = parser.parse_args()
    bundle = load_bundle(options.model or resource(f"Models/{DEFAULT_MODEL}"))
    first = 0 if options.prepared else FIRST_SEED
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    inference = InferenceOptions(device="cpu", fast=True, attention_maps=True)
    for sample in samples(bundle.manifest.space, options.prepared, first, options.patients, 0.0):
        attention = predict(sample.prepared, bundle, inference)[0].attention
        assert attention is not None
        for region, mask in zip(REGIONS, sample.regions, strict=True):
            for group, stack in attention.by_group().items():
                if mask.any():
                    shares = pooled(mask, sample, attention.grid)
                    found.setdefault((group, region), []).append(overlaps(stack, shares, group == "token_fuser"))
        print(sample.name, file=sys.stderr, flush=True)
    print("| maps | region | patients | best of N, soft Dice | best of N, area under the ROC curve |")
    print("| --- | --- | --- | --- | --- |")
    for (group, region), values in sorted(found.items()):
        score, area = np.nanmean(values, axis=0)
        print(f"| {group} | {region} | {len(values)} | {score:.2f} | {area:.2f} |")


if __name__ == "__main__":
    main()
