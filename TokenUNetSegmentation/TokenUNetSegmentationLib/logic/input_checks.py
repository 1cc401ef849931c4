"""Checks of the selected volumes, and the cost of missing ones, as sentences for the panel."""

from collections.abc import Mapping

import slicer
from slicer.i18n import tr as _
from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.sequences import SequenceName

from TokenUNetSegmentationLib.logic.volumes import problem_with


def check_inputs(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None], channels: ChannelSet = FOUR_SEQUENCES
) -> dict[SequenceName, str]:
    """Return what prevents a segmentation, one sentence by channel; empty if all is well.

    Args:
        inputs: Volume of each channel; None if there is none.
        channels: Channels of the model, and which it can do without.
    """
    problems: dict[SequenceName, str] = {}
    missing = [channel for channel, volume in inputs.items() if volume is None]
    if len(missing) == len(inputs) or channels.without(missing) is None:
        problems = {channel: _("Select the {channel} volume.").format(channel=channel) for channel in missing}
    for channel, volume in inputs.items():
        if volume is None:
            continue
        twins = [other for other, node in inputs.items() if node is volume and other != channel]
        twice = _("“{volume}” is selected as {other} too.")
        problem = twice.format(volume=volume.GetName(), other=twins[0]) if twins else problem_with(volume)
        if problem:
            problems[channel] = problem
    return {channel: problems[channel] for channel in inputs if channel in problems}


def missing_text(inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None], channels: ChannelSet) -> str:
    """Return what it costs that the empty channels are missing; empty if none is, or the model needs one of them."""
    missing = [channel for channel, volume in inputs.items() if volume is None]
    option = channels.without(missing)
    if not missing or len(missing) == len(inputs) or option is None:
        return ""
    text = _("Without {channels}").format(channels=" and ".join(missing))
    cost = option.describe_cost()
    text = f"{text}: {cost}" if cost else text
    return text if "T1ce" not in missing else text + _("; enhancing tumor is not marked")
