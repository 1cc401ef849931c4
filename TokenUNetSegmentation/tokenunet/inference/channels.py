"""Channels of a request: names of the model's channels, and findings about missing ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tokenunet.core.channels import ChannelSet
from tokenunet.core.errors import UsageError
from tokenunet.core.findings import Finding
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS
from tokenunet.core.sequences import SequenceName
from tokenunet.inference.request import SegmentationRequest, scan_arguments


def with_channel_names(request: SegmentationRequest, model: str, channels: ChannelSet) -> SegmentationRequest:
    """Return the request with the model's own names of its channels.

    Args:
        request: Request as a user made it, with any of the channels' aliases.
        model: Name of the model, for messages.
        channels: Channels of the model.

    Raises:
        UsageError: If a channel is unknown to the model, given twice, or not given.
    """

    def name_of(given: str) -> SequenceName:
        name = channels.find(given)
        if name is None:
            raise UsageError(f"{model} takes {', '.join(channels.names)}, not {given}.", "Leave it out.")
        return name

    names = [name_of(given) for given in (*request.inputs, *request.left_out)]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{doubled[0]} was given twice.", "Leave out one of them.")
    forgotten = [name for name in channels.names if name not in names]
    if forgotten and request.folder is None:
        options = ", ".join(scan_arguments(name, "FILE")[0] for name in forgotten)
        raise UsageError(
            f"No file was given for {', '.join(forgotten)}.",
            f"Use {options} (or none if it is missing), or --input DIR.",
        )
    reference = None if request.reference is None else name_of(request.reference)
    inputs = {name_of(given): path for given, path in request.inputs.items()}
    return replace(request, inputs=inputs, left_out=tuple(map(name_of, request.left_out)), reference=reference)


def missing_findings(channels: ChannelSet, missing: Sequence[SequenceName]) -> Iterator[Finding]:
    """Iterate over the findings about missing channels.

    Args:
        channels: Channels of the model.
        missing: Names of the missing channels.
    """
    if not missing:
        return
    option = channels.without(missing)
    cost = option.describe_cost() if option is not None else ""
    text = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: the result is less reliable"
    yield Finding("missing_sequence", f"{text} ({cost})." if cost else f"{text}.")
    if unclaimed_regions(missing):
        text = "Enhancing tumor is not marked without T1ce; the tumor core is marked as a whole, with the label of NCR."
        yield Finding("no_enhancing_tumor", text)


def unclaimed_regions(missing: Sequence[SequenceName]) -> list[str]:
    """Return the regions and labels that cannot be distinguished without the missing sequences."""
    return ["ET", "NCR"] if "T1ce" in missing else []


def without_enhancing_tumor(prediction: Prediction) -> Prediction:
    """Return the prediction with no voxel of enhancing tumor."""
    index = REGIONS.index("ET")
    probabilities = prediction.probabilities.copy()
    probabilities[index] = 0
    members = prediction.members
    if members is not None:
        members = members.copy()
        members[:, index] = 0
    return replace(prediction, probabilities=probabilities, members=members)
