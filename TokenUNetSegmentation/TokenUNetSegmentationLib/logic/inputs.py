"""Identification of the scene's volumes: their sequence and their patient."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.sequences import SEQUENCES, SequenceName, other_words
from tokenunet.study.dicom_tags import dicom_tags
from tokenunet.study.identify.image_features import sequences_by_features
from tokenunet.study.identify.tags_and_names import sequence_of_scan
from tokenunet.study.image_files import with_background
from tokenunet.study.scans import REFERENCES

from TokenUNetSegmentationLib.logic.volumes import problem_with
from TokenUNetSegmentationLib.scene.overlays import overlay_group

DicomValue = Callable[[str, str], str]
"""Function that returns the value of a DICOM tag ("GGGG,EEEE") of an instance (UID)."""

_LOOKS_MM = 4.0


@dataclass(frozen=True)
class Availability:
    """Whether an action is available.

    Attributes:
        possible: Whether the action can be started now.
        reason: Why it cannot be started or, if it can, what it does; a sentence for the panel.
    """

    possible: bool
    reason: str


def dicom_value_from_database(uid: str, tag: str) -> str:
    """Return the value of a tag from Slicer's DICOM database; empty while the database is not loaded.

    Args:
        uid: SOP instance UID.
        tag: Tag as "GGGG,EEEE".
    """
    database = getattr(slicer, "dicomDatabase", None)
    return database.instanceValue(uid, tag) if database is not None else ""


def sequence_of(volume: slicer.vtkMRMLScalarVolumeNode, dicom_value: DicomValue) -> SequenceName | None:
    """Identify a volume's sequence from its name and the tags of its DICOM series.

    A name that the user gave takes precedence over the tags.

    Args:
        volume: Volume to identify.
        dicom_value: Source of DICOM tags.

    Returns:
        Sequence; None if neither name nor tags tell.
    """
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    tags = dicom_tags(lambda tag: dicom_value(uids[0], tag.replace("|", ",").upper())) if uids else None
    return sequence_of_scan(volume.GetName(), tags)


def input_node(parameters: Any, channel: SequenceName) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the volume that a parameter node holds for a channel.

    Args:
        parameters: The module's parameter node. Models differ in their channels, so these are not typed parameters.
        channel: Name of the channel.
    """
    return parameters.parameterNode.GetNodeReference(f"input{channel}")


def set_input_nodes(parameters: Any, volumes: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]) -> None:
    """Store volumes of channels in a parameter node.

    Args:
        parameters: The module's parameter node.
        volumes: Volume of each channel to set; None clears the channel.
    """
    with slicer.util.NodeModify(parameters.parameterNode):
        for channel, volume in volumes.items():
            parameters.parameterNode.SetNodeReferenceID(f"input{channel}", volume.GetID() if volume else None)


def reference_of(wanted: str, given: Collection[SequenceName]) -> SequenceName:
    """Return the reference channel: the wanted one if it has a volume, otherwise the preferred one of those that do.

    Args:
        wanted: Name of a channel, case-insensitive.
        given: Channels that have a volume; at least one.
    """
    names = {name.lower(): name for name in given}
    return names.get(wanted.lower()) or next(name for name in (*REFERENCES, *given) if name in given)


def candidates() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Return the scene's volumes that can be inputs: visible scalar volumes that are neither labels nor overlays."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [
        node
        for node in nodes
        if node.GetClassName() == "vtkMRMLScalarVolumeNode"
        and not node.GetHideFromEditors()
        and overlay_group(node) is None
    ]


def suggest_inputs(
    volumes: Sequence[slicer.vtkMRMLScalarVolumeNode],
    dicom_value: DicomValue = dicom_value_from_database,
    channels: ChannelSet = FOUR_SEQUENCES,
) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
    """Return one patient's volumes for a model's channels, as far as they can be identified.

    Channels other than `SEQUENCES` are identified by the volumes' names only.

    Args:
        volumes: Candidate volumes.
        dicom_value: Source of DICOM tags.
        channels: Channels of the model.
    """
    others = {volume: channels.named(volume.GetName()) for volume in volumes}
    found = _suggest_sequences([volume for volume in volumes if others[volume] is None], dicom_value)
    found |= {channel: volume for volume, channel in others.items() if channel is not None}
    return {channel: found[channel] for channel in channels.names if channel in found}


def _suggest_sequences(
    volumes: Sequence[slicer.vtkMRMLScalarVolumeNode], dicom_value: DicomValue
) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
    """Return the volumes of the patient with the most identified sequences, the newest one if there are several.

    Volumes belong to the same patient if their names differ only in the sequence. If that does not yield all
    sequences, all volumes in one folder of the subject hierarchy are taken as one patient, then all in the scene.
    Volumes on the same grid whose names do not tell the sequence are identified by elimination or by image features.
    """
    named = [(volume, sequence_of(volume, dicom_value)) for volume in volumes]
    best: dict[SequenceName, slicer.vtkMRMLScalarVolumeNode] = {}
    keys: tuple[Callable[[slicer.vtkMRMLScalarVolumeNode], Hashable], ...] = (_patient_name, _folder, lambda volume: 0)
    for key in keys:
        groups: dict[Hashable, dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]] = {}
        for volume, sequence in named:
            if sequence is not None:
                groups.setdefault(key(volume), {})[sequence] = volume
        for group in groups.values():
            if len(group) >= len(best) and (len(group) > len(best) or key is _patient_name):
                best = group
        if len(best) == len(SEQUENCES):
            break
    left = [volume for volume, sequence in named if sequence is None and _on_grid_of_all(volume, best.values())]
    missing = [sequence for sequence in SEQUENCES if sequence not in best]
    if len(missing) == len(left):
        best = best | _identify_unnamed(best, dict(zip(missing, left, strict=True)))
    return {sequence: best[sequence] for sequence in SEQUENCES if sequence in best}


def _identify_unnamed(
    named: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode],
    unnamed: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode],
) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
    """Return the sequences of the unnamed volumes; empty if image features contradict the names of the others."""
    if len(unnamed) <= 1:
        return dict(unnamed)
    volumes = {**named, **unnamed}
    identified = _identify_by_image(volumes, order_known=False)
    if identified is None or any(identified[sequence] != sequence for sequence in named):
        return {}
    return {identified[sequence]: volume for sequence, volume in unnamed.items()}


def _identify_by_image(
    volumes: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode], order_known: bool
) -> dict[SequenceName, SequenceName] | None:
    """Identify the volume in each channel by image features; None if that is not possible."""
    first, *others = (volumes[sequence] for sequence in SEQUENCES)
    usable = not any(problem_with(volume) for volume in volumes.values())
    if not usable or not all(_on_grid_of_all(volume, [first]) for volume in others):
        return None
    looks = sequences_by_features([_every_few_mm(volumes[sequence]) for sequence in SEQUENCES], order_known)
    return None if looks is None else dict(zip(SEQUENCES, looks, strict=True))


def _every_few_mm(volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return voxels about 4 mm apart, (D, H, W), without the NaN that some programs write around a brain."""
    array = slicer.util.arrayFromVolume(volume)
    sample = array[tuple(slice(None, None, max(1, round(_LOOKS_MM / mm))) for mm in reversed(volume.GetSpacing()))]
    return with_background(sample, np.isnan(sample))


def _patient_name(volume: slicer.vtkMRMLScalarVolumeNode) -> Hashable:
    return _folder(volume), other_words(volume.GetName())


def _folder(volume: slicer.vtkMRMLScalarVolumeNode) -> Hashable:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume)
    return hierarchy.GetItemParent(item) if item else None


def _on_grid_of_all(volume: slicer.vtkMRMLScalarVolumeNode, others: Iterable[slicer.vtkMRMLScalarVolumeNode]) -> bool:
    def grid(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, ...]:
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        dimensions = node.GetImageData().GetDimensions() if node.GetImageData() else ()
        return *dimensions, *np.round(slicer.util.arrayFromVTKMatrix(matrix), 3).ravel()

    return all(grid(volume) == grid(other) for other in others)


def sequences_by_name(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None], dicom_value: DicomValue
) -> dict[SequenceName, SequenceName]:
    """Identify the volume in each channel by name and DICOM tags.

    Args:
        inputs: Volume of each channel; None if there is none.
        dicom_value: Source of DICOM tags.

    Returns:
        Sequence of the volume by channel, without the channels whose volume has no telling name.
    """
    found = {channel: sequence_of(volume, dicom_value) for channel, volume in inputs.items() if volume is not None}
    return {channel: sequence for channel, sequence in found.items() if sequence is not None}


def sequences_by_image(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None],
) -> dict[SequenceName, SequenceName]:
    """Identify the volume in each channel by image features.

    Args:
        inputs: Volume of each channel; None if there is none.

    Returns:
        Sequence of the volume by channel; empty unless all of `SEQUENCES` are there and can be compared.
    """
    volumes = {channel: volume for channel, volume in inputs.items() if volume is not None}
    volumes = {channel: volumes[channel] for channel in SEQUENCES if channel in volumes}
    if len({volume.GetID() for volume in volumes.values()}) < len(SEQUENCES):
        return {}
    return _identify_by_image(volumes, order_known=True) or {}
