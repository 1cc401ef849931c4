"""Measure how far attention maps overlap with the tumor, and print the table.

    python -m tools.attention_overlap --prepared patients --patients 20

As the authors of Token-UNet do it: each map is scaled from its minimum to its maximum, and of the N maps the one with
the highest soft Dice counts, for each patient and region. Next to it stands the area under the ROC curve of the best
map, either way up for TokenFuser, whose maps have no sign of their own. The sharper maps are measured in their own
voxels, and the TokenLearner maps there, too, since a score depends on the voxel size. ``--prepared`` takes a folder of
prepared patients, synthetic or real, instead of making synthetic ones.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.bundle.bundle import load_bundle
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.builtin_overlays import SHARPER_MAPS, TOKEN_FUSER
from tokenunet.core.grid import Grid
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS
from tokenunet.inference.overlays import with_overlays
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


def stacks(prediction: Prediction, sample: Sample) -> Iterator[tuple[str, NDArray[np.float32], Grid]]:
    """Iterate over all maps (N, d, h, w) of a prediction, with their name and grid."""
    attention = prediction.attention
    assert attention is not None
    for group, stack in attention.by_group().items():
        yield group, stack, attention.grid
    overlays = with_overlays(prediction, sample.prepared).overlays
    sharper = [overlay for overlay in overlays if overlay.group == SHARPER_MAPS.name]
    if sharper:
        grid = sharper[0].grid
        images = (grid.resample(attention.grid.image(values)) for values in attention.token_learner)
        yield "token_learner, voxels of the sharper ones", np.stack([sitk.GetArrayFromImage(i) for i in images]), grid
        yield SHARPER_MAPS.name, np.stack([overlay.array for overlay in sharper]), grid


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
        prediction, _execution = predict(sample.prepared, bundle, inference)
        for group, stack, grid in stacks(prediction, sample):
            for region, mask in zip(REGIONS, sample.regions, strict=True):
                if mask.any():
                    either_sign = group == TOKEN_FUSER.name
                    found.setdefault((group, region), []).append(
                        overlaps(stack, pooled(mask, sample, grid), either_sign)
                    )
        print(sample.name, file=sys.stderr, flush=True)
    print("| maps | region | patients | best of N, soft Dice | best of N, area under the ROC curve |")
    print("| --- | --- | --- | --- | --- |")
    for (group, region), values in sorted(found.items()):
        score, area = np.nanmean(values, axis=0)
        print(f"| {group} | {region} | {len(values)} | {score:.2f} | {area:.2f} |")


if __name__ == "__main__":
    main()
