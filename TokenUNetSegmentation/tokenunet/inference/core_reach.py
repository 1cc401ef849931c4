"""Core only near the enhancing tumor, in tumors that enhance.

Around a small enhancing core, edema that looks like core is at times counted in. Where much of a core enhances, the
rest is necrosis inside the enhancement, or close to it. Cores that hardly enhance are left as they are.
"""

from math import prod

import SimpleITK as sitk
import torch
from torch import Tensor

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.inference.second_pass import LEAST_ML

LEAST_SHARE = 0.2
"""Smallest enhancing share of a core that is limited."""
DOUBTFUL = -1.0
"""Logit that a core's voxels out of reach keep at most."""


def without_distant_core(logits: Tensor, brain: Tensor, manifest: ModelManifest) -> Tensor:
    """Return the logits, lowered in the core where it is farther from enhancing tumor than the manifest's reach.

    Nothing changes unless at least `LEAST_ML` and `LEAST_SHARE` of the core enhance.

    Args:
        logits: Logits of one patient, (1, R, D, H, W).
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
    image = sitk.GetImageFromArray(enhancing.to(torch.uint8).cpu().numpy())
    image.SetSpacing(manifest.spacing)
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    distant = torch.from_numpy(sitk.GetArrayFromImage(distance)).to(logits.device) > manifest.core_reach_mm
    result = logits.clone()
    result[0, core] = torch.where(distant, logits[0, core].clamp(max=DOUBTFUL), logits[0, core])
    return result
