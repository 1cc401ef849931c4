"""A second pass without some channels, for what they keep the first one from finding.

Edema that is isointense in T1ce is at times taken for healthy tissue, although T2 and FLAIR show it. A pass without
T1ce finds it, and may add to a tumor, but takes nothing away. Likewise for the core of a tumor that hardly enhances, of
which a network expects less in T1ce than there is. Where the first pass finds no tumor, what the second one finds is
mostly an artifact.
"""

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.core.findings import Finding
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import RegionName
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import Prepared

LEAST_ML = 0.5
"""Smallest volume of a region that counts as found."""


def count_passes(prepared: Prepared, manifest: ModelManifest, options: InferenceOptions) -> int:
    """Return the number of passes through each network.

    They are 2 if the model makes a second pass and the patient has channels that it leaves out, and several if windows
    of an imported model are mirrored, else 1.
    """
    if manifest.imported is not None:
        return manifest.imported.passes
    left_out = _left_out(manifest)
    return 2 if not options.fast and left_out and bool(prepared.tensor[left_out].any()) else 1


def without_channels(x: Tensor, manifest: ModelManifest) -> Tensor:
    """Return the input of the second pass, (N, C, D, H, W) with 0 in the channels that it leaves out."""
    x = x.clone()
    x[:, _left_out(manifest)] = 0
    return x


def with_second_pass(first: Tensor, second: Tensor, brain: Tensor, manifest: ModelManifest) -> Tensor:
    """Return the first pass' logits, raised in some regions to the mean of both passes where that is higher.

    This is the whole tumor if the first pass found one, and the tumor core if it found one, but hardly any enhancing
    tumor.

    Args:
        first: Logits of all channels, (1, R, D, H, W).
        second: Logits without some channels, of the same shape.
        brain: Whether a voxel is in the brain, (1, D, H, W).
        manifest: Manifest of the model that made them.
    """

    def found(region: RegionName) -> bool:
        return marked_ml(first, region, brain, manifest) >= LEAST_ML

    raised = torch.maximum(first, (first + second) / 2)
    result = first.clone()
    is_raised: dict[RegionName, bool] = {"WT": found("WT"), "TC": found("TC") and not found("ET")}
    for region, applies in is_raised.items():
        if applies:
            k = manifest.regions.index(region)
            result[:, k] = raised[:, k]
    return result


def marked_ml(logits: Tensor, region: RegionName, brain: Tensor, manifest: ModelManifest) -> float:
    """Return the volume in ml that a pass marks as a region, of which `with_second_pass` names the other arguments."""
    marked = (logits[:, manifest.regions.index(region)] > 0) & brain
    return float(marked.sum()) * prod(manifest.spacing) / 1000


def second_pass_findings(prediction: Prediction, manifest: ModelManifest) -> Iterator[Finding]:
    """Warn if only the second pass found a tumor, which was therefore not marked.

    Args:
        prediction: Prediction of one patient.
        manifest: Manifest of the model that made it.
    """
    alone_ml = prediction.second_pass_ml
    volume_ml = float((prediction.probabilities[0] > 0.5).sum()) * prod(manifest.spacing) / 1000
    if alone_ml is not None and alone_ml >= LEAST_ML > volume_ml and not prediction.unmarked_ml:
        left_out = " and ".join(manifest.second_pass_without)
        yield Finding(
            "found_by_second_pass",
            f"No tumor is marked, but without {left_out} the network finds {alone_ml:.1f} ml of it: look through the "
            f"scans, and segment without {left_out} to see where.",
        )


def second_pass_dice(first: Tensor, second: Tensor, manifest: ModelManifest) -> float:
    """Return the Dice coefficient between the whole tumors of both passes, which is low where they disagree.

    Args:
        first: Logits of all channels, (N, R, D, H, W).
        second: Logits without some channels, of the same shape.
        manifest: Manifest of the model that made them.
    """
    whole_tumor = manifest.regions.index("WT")
    one, other = (logits[:, whole_tumor] > 0 for logits in (first, second))
    return float(2 * (one & other).sum() / (one.sum() + other.sum()).clamp(min=1))


def _left_out(manifest: ModelManifest) -> list[int]:
    return [k for k, channel in enumerate(manifest.channels) if channel.name in manifest.second_pass_without]
