"""What the volumes in the scene are: which sequence, of which patient, and whether they can be segmented."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.sequences import SEQUENCES, SequenceName, other_words
from tokenunet.study.dicom_tags import dicom_tags
from tokenunet.study.identify.image_features import sequence_looks
from tokenunet.study.identify.tags_and_names import sequence_of_scan
from tokenunet.study.scans import REFERENCES

from TokenUNetSegmentationLib.scene.overlays import overlay_group

DicomValue = Callable[[str, str], str]
"""Value of a DICOM tag ("GGGG,EEEE") of an instance (UID)."""

_FEWEST_SLICES = 4
_EMPTY_SHARE_OF_STRIPPED = 0.35
_LARGEST_SAMPLE = 64
_LOOKS_MM = 4.0
_TIMES = " \N{MULTIPLICATION SIGN} "
_REMEMBERED_VOLUMES = 64


@dataclass(frozen=True)
class Answer:
    """Whether something can be done, and why not, or what it will do."""

    possible: bool
    reason: str


def dicom_value_from_database(uid: str, tag: str) -> str:
    """A `DicomValue` of Slicer's DICOM database; empty where there is none, as until all modules are loaded."""
    database = getattr(slicer, "dicomDatabase", None)
    return database.instanceValue(uid, tag) if database is not None else ""


def sequence_of(volume: slicer.vtkMRMLScalarVolumeNode, dicom_value: DicomValue) -> SequenceName | None:
    """The sequence that a volume's DICOM series, or else its name, speaks of; a name that a person gave comes first."""
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    tags = dicom_tags(lambda tag: dicom_value(uids[0], tag.replace("|", ",").upper())) if uids else None
    return sequence_of_scan(volume.GetName(), tags)


def input_node(parameters: Any, channel: SequenceName) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the volume that a parameter node holds for a channel.

    Args:
        parameters: The module's parameter node. Models differ in their channels, so that these are no typed parameters.
        channel: Name of the channel.
    """
    return parameters.parameterNode.GetNodeReference(f"input{channel}")


def set_input_nodes(parameters: Any, volumes: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None]) -> None:
    """Keep volumes of channels in a parameter node; None takes a channel's volume away."""
    with slicer.util.NodeModify(parameters.parameterNode):
        for channel, volume in volumes.items():
            parameters.parameterNode.SetNodeReferenceID(f"input{channel}", volume.GetID() if volume else None)


def reference_of(wanted: str, given: Collection[SequenceName]) -> SequenceName:
    """Return the channel on whose grid the result is: the wanted one, or the preferred one of those that are given.

    Args:
        wanted: Name of a channel, without regard to case.
        given: Channels that have a volume; at least one.
    """
    names = {name.lower(): name for name in given}
    return names.get(wanted.lower()) or next(name for name in (*REFERENCES, *given) if name in given)


def candidates() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The volumes of the scene that may be inputs: no labels, vectors or overlays, nothing hidden."""
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
    """Return the volumes of a model's channels, or as many as can be told, of one patient.

    Channels other than `SEQUENCES` are told by the volumes' names alone.
    """
    others = {volume: channels.named(volume.GetName()) for volume in volumes}
    found = _suggest_sequences([volume for volume in volumes if others[volume] is None], dicom_value)
    found |= {channel: volume for volume, channel in others.items() if channel is not None}
    return {channel: found[channel] for channel in channels.names if channel in found}


def _suggest_sequences(
    volumes: Sequence[slicer.vtkMRMLScalarVolumeNode], dicom_value: DicomValue
) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
    """Return `SEQUENCES`, or as many as can be told, of one patient: of the newest with the most of them.

    Volumes belong to one patient where their names differ in the sequence alone, or where they lie in one folder of
    the subject hierarchy, or at last where they are all there is. What no name speaks for is told by elimination, or
    by how tissues look, where it lies on the same grid.
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
        best = best | _told_by_looks(best, dict(zip(missing, left, strict=True)))
    return {sequence: best[sequence] for sequence in SEQUENCES if sequence in best}


def _told_by_looks(
    named: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode],
    unnamed: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode],
) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
    """Places for the volumes that no name speaks for; none where their looks contradict the names of the others."""
    if len(unnamed) <= 1:
        return dict(unnamed)
    volumes = {**named, **unnamed}
    looks = _looks(volumes, order_known=False)
    if looks is None or any(looks[sequence] != sequence for sequence in named):
        return {}
    return {looks[sequence]: volume for sequence, volume in unnamed.items()}


def _looks(
    volumes: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode], order_known: bool
) -> dict[SequenceName, SequenceName] | None:
    """The sequence that each place's volume looks like; None where that cannot be told."""
    first, *others = (volumes[sequence] for sequence in SEQUENCES)
    usable = not any(problem_with(volume) for volume in volumes.values())
    if not usable or not all(_on_grid_of_all(volume, [first]) for volume in others):
        return None
    looks = sequence_looks([_every_few_mm(volumes[sequence]) for sequence in SEQUENCES], order_known)
    return None if looks is None else dict(zip(SEQUENCES, looks, strict=True))


def _every_few_mm(volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Voxels about 4 mm apart, (z, y, x)."""
    array = slicer.util.arrayFromVolume(volume)
    return array[tuple(slice(None, None, max(1, round(_LOOKS_MM / mm))) for mm in reversed(volume.GetSpacing()))]


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


def describe(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """One line about a volume: voxels, their size, stripped of the skull or not."""
    size = _TIMES.join(str(n) for n in volume.GetImageData().GetDimensions())
    spacing = _TIMES.join(f"{mm:.3g}" for mm in volume.GetSpacing())
    skull = _("skull-stripped") if is_skull_stripped(volume) else _("with skull")
    return _("{size}, {spacing} mm, {skull}").format(size=size, spacing=spacing, skull=skull)


def is_skull_stripped(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether one value fills what lies around the brain, as skull-stripping leaves it; noise does around a head."""
    return _voxels_of(volume).empty_share > _EMPTY_SHARE_OF_STRIPPED


@dataclass(frozen=True)
class _Voxels:
    """What a coarse sample of a volume's voxels says: all are numbers, all are equal, share that equals the corner."""

    finite: bool
    constant: bool
    empty_share: float


def _voxels_of(volume: slicer.vtkMRMLScalarVolumeNode) -> _Voxels:
    return _sampled_voxels(volume.GetID(), volume.GetImageData().GetMTime())


@lru_cache(_REMEMBERED_VOLUMES)
def _sampled_voxels(volume_id: str, modified: int) -> _Voxels:
    """Looked at once for each state of a volume: the panel asks at every change of any of its parts."""
    array = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(volume_id))
    sample = array[tuple(slice(None, None, max(1, n // _LARGEST_SAMPLE)) for n in array.shape)]
    return _Voxels(
        finite=bool(np.isfinite(sample).all()),
        constant=bool(sample.min() == sample.max()),
        empty_share=float((sample == sample[0, 0, 0]).mean()),
    )


def problem_with(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Why a volume cannot be segmented; empty where it can."""
    image = volume.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        return _("This volume has no voxels.")
    if image.GetNumberOfScalarComponents() != 1:
        return _("This is a color or vector volume.")
    if min(image.GetDimensions()) < _FEWEST_SLICES:
        size = _TIMES.join(str(n) for n in image.GetDimensions())
        return _("This is not a 3-D scan: {size} voxels.").format(size=size)
    voxels = _voxels_of(volume)
    if not voxels.finite:
        return _("This volume has voxels that are not numbers.")
    if voxels.constant:
        return _("This volume has the same value everywhere.")
    return ""


def sequences_by_name(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None], dicom_value: DicomValue
) -> dict[SequenceName, SequenceName]:
    """What the volume in each place is called; places whose volume's name says nothing are left out."""
    found = {place: sequence_of(volume, dicom_value) for place, volume in inputs.items() if volume is not None}
    return {place: sequence for place, sequence in found.items() if sequence is not None}


def sequences_by_looks(
    inputs: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None],
) -> dict[SequenceName, SequenceName]:
    """What the volume in each place looks like; empty where that cannot be told."""
    volumes = {place: volume for place, volume in inputs.items() if volume is not None}
    volumes = {place: volumes[place] for place in SEQUENCES if place in volumes}
    if len({volume.GetID() for volume in volumes.values()}) < len(SEQUENCES):
        return {}
    return _looks(volumes, order_known=True) or {}
