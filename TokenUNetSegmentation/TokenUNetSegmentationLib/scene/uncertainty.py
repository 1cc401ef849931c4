"""Where the networks of an ensemble differ, as a volume."""

from pathlib import Path

import slicer

from TokenUNetSegmentationLib.scene.volumes import detach_from_file, load_volume

_COLORS = "vtkMRMLColorTableNodeIron"
"""Slicer's own scale from black over red to white."""
_LARGEST = 0.5
"""Standard deviation of the probabilities where half of the networks are sure of tumor and half of none."""
_LEAST_SHOWN = 0.05


def load_disagreement(path: Path, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """The map's volume node, in no view yet: over anatomy it is transparent where the networks agree.

    All maps have one range of colors, so that patients compare.

    Raises:
        UnreadableImageError: where the file is absent or damaged.
    """
    node = load_volume(path, name)
    detach_from_file(node)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_COLORS)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, _LARGEST)
    display.SetThreshold(_LEAST_SHOWN, 1.0)
    display.ApplyThresholdOn()
    return node
