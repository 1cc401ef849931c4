"""Volumes of the TokenLearner's and the TokenFuser's masks: loading, colors, display range.

A TokenLearner mask says how many times more than uniform a voxel counts, a TokenFuser mask holds weights of any sign.
So the first kind has a sequential color scale that begins at uniform and is transparent below, the second a diverging
one around zero whose middle is transparent: through both the anatomy is seen where a mask says little.
"""

from enum import StrEnum
from pathlib import Path

import numpy as np
import slicer

from TokenUNetSegmentationLib.scene.volumes import detach_from_file, load_volume

_COLORS = 256
_NUMBER_ATTRIBUTE = "TokenUNet.MaskNumber"
_KIND_ATTRIBUTE = "TokenUNet.MaskKind"


class MaskKind(StrEnum):
    """The two kinds of masks; the value is the stem of their files' names."""

    TOKEN_LEARNER = "token_learner"
    TOKEN_FUSER = "token_fuser"

    @property
    def network_part(self) -> str:
        """The network's part that the masks come from."""
        return {MaskKind.TOKEN_LEARNER: "TokenLearner", MaskKind.TOKEN_FUSER: "TokenFuser"}[self]

    def label(self) -> str:
        """Text of the choice in the panel."""
        return self.network_part


DEFAULT_THRESHOLD = {MaskKind.TOKEN_LEARNER: 0.2, MaskKind.TOKEN_FUSER: 0.35}
"""Share of a mask's range, as in `set_threshold`."""
UNIFORM = 1.0
"""Where a TokenLearner mask's range begins: what every voxel would have if none counted more than another."""
_PEAK_PERCENTILE = 99.5  # single voxels at the image's border may be far higher than all others

_SCALES = {
    MaskKind.TOKEN_LEARNER: ((0.0, (0.45, 0.05, 0.30)), (0.5, (0.93, 0.33, 0.10)), (1.0, (1.0, 0.97, 0.55))),
    MaskKind.TOKEN_FUSER: (
        (0.0, (0.05, 0.30, 0.85)),
        (0.4, (0.55, 0.75, 0.95)),
        (0.5, (0.95, 0.95, 0.95)),
        (0.6, (0.97, 0.70, 0.50)),
        (1.0, (0.80, 0.08, 0.10)),
    ),
}
"""Position from 0 to 1 and color there, interpolated between."""


def mask_files(folder: Path, kind: MaskKind) -> dict[int, Path]:
    """The files of one kind in a ``masks`` folder, by the masks' numbers, which start at 1."""
    prefix = f"{kind.value}_"
    paths = (p for p in folder.glob(f"{prefix}*.nii.gz") if p.name[len(prefix) : -len(".nii.gz")].isdecimal())
    numbered = {int(path.name[len(prefix) : -len(".nii.gz")]): path for path in paths}
    return dict(sorted(numbered.items()))


def load_mask(
    path: Path, kind: MaskKind, number: int, colors: slicer.vtkMRMLColorTableNode
) -> slicer.vtkMRMLScalarVolumeNode:
    """A mask's volume node, named like "TokenLearner 3", shown with ``colors`` over its own range of values.

    Raises:
        UnreadableImageError: where the file is absent or damaged.
    """
    node = load_volume(path, f"{kind.network_part} {number}")
    detach_from_file(node)
    node.SetAttribute(_KIND_ATTRIBUTE, kind.value)
    node.SetAttribute(_NUMBER_ATTRIBUTE, str(number))
    peak = float(np.percentile(np.abs(slicer.util.arrayFromVolume(node)), _PEAK_PERCENTILE))
    low, high = (UNIFORM, max(peak, UNIFORM + 0.1)) if kind is MaskKind.TOKEN_LEARNER else (-(peak or 1.0), peak or 1.0)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.SetInterpolate(True)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)
    if kind is MaskKind.TOKEN_LEARNER:
        set_threshold(node, DEFAULT_THRESHOLD[kind])
    return node


def range_text(mask: slicer.vtkMRMLScalarVolumeNode) -> str:
    """What the ends of the mask's color scale stand for, in words."""
    display = mask.GetDisplayNode()
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    if mask_kind(mask) is MaskKind.TOKEN_LEARNER:
        return f"{low:.3g} to {high:.3g} times uniform"
    return f"weights {low:.3g} to {high:.3g}"


def mask_kind(node: slicer.vtkMRMLScalarVolumeNode) -> MaskKind:
    """Which part of the network the mask comes from."""
    return MaskKind(node.GetAttribute(_KIND_ATTRIBUTE))


def mask_number(node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """The mask's number, from 1."""
    return int(node.GetAttribute(_NUMBER_ATTRIBUTE))


def set_threshold(mask: slicer.vtkMRMLScalarVolumeNode, share: float) -> None:
    """Makes a mask transparent where it says little.

    Args:
        mask: the TokenFuser's masks of one patient share their color table and change together.
        share: 0 to 1, of the way from uniform to the top of the range (TokenLearner), or from zero to either end of
            it (TokenFuser).
    """
    display = mask.GetDisplayNode()
    if mask_kind(mask) is MaskKind.TOKEN_FUSER:
        _make_middle_transparent(display.GetColorNode(), share)
        return
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    display.SetThreshold(low + share * (high - low), np.finfo(np.float32).max)
    display.ApplyThresholdOn()


def create_color_table(kind: MaskKind) -> slicer.vtkMRMLColorTableNode:
    """The color scale of one patient's masks of a kind."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", f"{kind.network_part} masks")
    node.SetTypeToUser()
    node.SetNumberOfColors(_COLORS)
    positions, colors = zip(*_SCALES[kind], strict=True)
    at = np.linspace(0, 1, _COLORS)
    channels = [np.interp(at, positions, channel) for channel in zip(*colors, strict=True)]
    for i, (red, green, blue) in enumerate(zip(*channels, strict=True)):
        node.SetColor(i, f"{at[i]:.3f}", red, green, blue)
    if kind is MaskKind.TOKEN_FUSER:
        _make_middle_transparent(node, DEFAULT_THRESHOLD[kind])
    return node


def _make_middle_transparent(colors: slicer.vtkMRMLColorTableNode, share: float) -> None:
    was_modifying = colors.StartModify()
    for i, position in enumerate(np.linspace(-1, 1, _COLORS)):
        colors.SetOpacity(i, 0.0 if abs(position) < share else 1.0)
    colors.EndModify(was_modifying)
