"""Core only near the enhancing tumor, in tumors that enhance.

Around a small enhancing core, edema that looks like core is at times counted in. Where much of a core enhances, the
rest is necrosis inside the enhancement, however wide, or tissue close to it. Cores that hardly enhance are left as they
are.
"""

from math import ceil, prod

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.inference.second_pass import LEAST_ML

LEAST_SHARE = 0.2
"""Smallest enhancing share of a core that is limited."""
WIDEST_CAVITY_MM = 60.0
"""Width up to which necrosis counts as inside the enhancement around it, also where the rim has gaps."""
DOUBTFUL = -1.0
"""Logit that a core's voxels out of reach keep at most."""


def without_distant_core(logits: Tensor, brain: Tensor, manifest: ModelManifest) -> Tensor:
    """Return the logits, lowered in the core where it is farther from enhancing tumor than the manifest's reach.

    Nothing changes unless at least `LEAST_ML` and `LEAST_SHARE` of the core enhance.

    Args:
        logits: Logits of one patient on the CPU, (1, R, D, H, W).
        brain: Whether a voxel is in the brain, (1, D, H, W).
        manifest: Manifest of the model that made them; it has a reach.
    """
    assert manifest.core_reach_mm is not None
    core = manifest.regions.index("TC")
    found = (logits > 0) & brain
    enhancing = found[0, manifest.regions.index("ET")]
    enough_ml = LEAST_ML / (prod(manifest.spacing) / 1000)
    if enhancing.sum() < max(enough_ml, LEAST_SHARE * float(found[0, core].sum())):
        return logits
    near = within_reach(enhancing.numpy(), manifest.core_reach_mm, manifest.spacing)
    distant = torch.from_numpy(~near)
    result = logits.clone()
    result[0, core] = torch.where(distant, logits[0, core].clamp(max=DOUBTFUL), logits[0, core])
    return result


def within_reach(enhancing: NDArray[np.bool_], reach: float, spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Return what is inside the enhancing tumor, or at most `reach` mm from it, (z, y, x).

    Inside is what a ball of `WIDEST_CAVITY_MM` does not reach from outside (morphological closing).
    """
    radius = WIDEST_CAVITY_MM / 2
    margin = [ceil(radius / size) + 1 for size in reversed(spacing)]
    padded = np.pad(enhancing, [(m, m) for m in margin])
    box = tuple(slice(min(at) - m, max(at) + m + 1) for at, m in zip(padded.nonzero(), margin, strict=True))
    mask = sitk.GetImageFromArray(padded[box].astype(np.uint8))
    mask.SetSpacing(spacing)
    dilated = sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True) <= radius
    depth = sitk.SignedMaurerDistanceMap(sitk.Not(dilated), squaredDistance=False, useImageSpacing=True)
    near = np.zeros_like(padded)
    near[box] = sitk.GetArrayFromImage(depth) > radius - reach
    return near[tuple(slice(m, -m) for m in margin)]
