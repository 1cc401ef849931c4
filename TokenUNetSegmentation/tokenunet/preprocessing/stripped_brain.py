"""Common brain of skull-stripped scans, each of which may have been stripped with a mask of its own."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SequenceName

_SAME_SHARE = 0.01
"""Share of the brain that masks may differ by and still count as the same; dark voxels inside cause such a share."""
_TOLD_SHARE = 0.03
"""Share of the brain that must be missing for a warning."""
_THICKEST_RIM_MM = 10.0
"""Thickness from which on a missing part was cut off by the field of view, not by a mask."""
_LEAST_CUT_SHARE = 0.02
"""Share of the brain that such a part must have to count as cut off."""


@dataclass(frozen=True)
class AgreedBrain:
    """Common brain of skull-stripped scans.

    Attributes:
        brain: Brain mask, (D, H, W): voxels that every scan shows whose field of view covers them.
        seen: Brain mask by sequence, (D, H, W), of each scan whose field of view cuts the brain.
        findings: Findings for the user.
    """

    brain: NDArray[np.bool_]
    seen: dict[SequenceName, NDArray[np.bool_]]
    findings: tuple[Finding, ...]


def agreed_brain(
    shown: Mapping[SequenceName, NDArray[np.bool_]],
    sources: Mapping[SequenceName, str],
    grid: Grid,
    reached: Mapping[SequenceName, NDArray[np.bool_]],
) -> AgreedBrain:
    """Return the brain that all scans show, with a warning for each scan that leaves out much of it.

    Args:
        shown: Foreground by sequence of each skull-stripped scan, (D, H, W).
        sources: Where each scan came from, for messages.
        grid: Grid of the masks.
        reached: Voxels by sequence that overlap the brain in part, of scans that were resampled, (D, H, W).
    """
    union = np.logical_or.reduce(list(shown.values()))
    brain, seen, findings = union, {}, []
    for sequence, mask in shown.items():
        if union.sum() - mask.sum() <= _SAME_SHARE * union.sum():
            continue
        filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(mask.astype(np.uint8)))).astype(bool)
        missing = union & ~filled & ~reached.get(sequence, filled)
        share = float(missing.sum() / union.sum())
        if share <= _SAME_SHARE:
            continue
        if _thick(missing, grid) > _LEAST_CUT_SHARE * union.sum():
            seen[sequence] = filled
            continue
        brain = brain & filled
        if share > _TOLD_SHARE:
            text = (
                f"{sources[sequence]} ({sequence}) was stripped with a mask of its own and leaves out {share:.0%} of "
                "the brain that the other scans show; only what all of them show was segmented. Strip all scans with "
                "one mask if tumor is missing at the surface."
            )
            findings.append(Finding("own_brain_mask", text))
    return AgreedBrain(brain, seen, tuple(findings))


def _thick(mask: NDArray[np.bool_], grid: Grid) -> int:
    """Return the number of voxels that remain of a mask after thin rims are eroded."""
    radius = [max(1, round(_THICKEST_RIM_MM / 2 / mm)) for mm in grid.spacing]
    eroded = sitk.BinaryErode(sitk.GetImageFromArray(mask.astype(np.uint8)), radius)
    return int(sitk.GetArrayViewFromImage(eroded).sum())
