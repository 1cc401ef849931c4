"""A second pass without some channels, for what they keep the first one from finding.

Edema that is isointense in T1ce is at times taken for healthy tissue, although T2 and FLAIR show it. A pass without
T1ce finds it, and may add to the whole tumor, but takes nothing away.
"""

import torch
from torch import Tensor

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import Prepared


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


def with_second_pass(first: Tensor, second: Tensor, manifest: ModelManifest) -> Tensor:
    """Return the first pass' logits, in the whole tumor raised to the mean of both passes where that is higher.

    Args:
        first: Logits of all channels, (N, R, D, H, W).
        second: Logits without some channels, of the same shape.
        manifest: Manifest of the model that made them.
    """
    whole_tumor = manifest.regions.index("WT")
    result = first.clone()
    result[:, whole_tumor] = torch.maximum(first, (first + second) / 2)[:, whole_tumor]
    return result


def _left_out(manifest: ModelManifest) -> list[int]:
    return [k for k, channel in enumerate(manifest.channels) if channel.name in manifest.second_pass_without]
