"""Review candidates in the scene: regions where attention maps are as in the tumor, but that are not segmented.

They are the segments of a segmentation node of their own, drawn as outlines. What is known of a hint and whether it was
dismissed are the segment's tags, and a hint counts as accepted for as long as the result has a segment of its
identifier: so all of it is saved with the scene, and deleting that segment takes the acceptance back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from tokenunet.core.background import foreground
from tokenunet.core.builtin_overlays import TOKEN_FUSER, TOKEN_LEARNER
from tokenunet.core.grid import Grid, Triple
from tokenunet.core.prediction import AttentionMaps
from tokenunet.core.terminology import Code, SegmentStyle
from tokenunet.review import Basis, ReviewCandidates, levels_from_notes, review_steps
from vtkmodules.util.numpy_support import numpy_to_vtk

from TokenUNetSegmentationLib.scene.results import (
    HINTS_ROLE,
    MissingNodeError,
    PatientResult,
    remove_node,
    segment_voxels,
    subject_hierarchy,
)

_IDENTIFIER = "ReviewHint"
_STYLE = SegmentStyle("review hint", (204 / 255, 121 / 255, 167 / 255), Code("SCT", "52988006", "Lesion"))
_BASIS_ATTRIBUTE, _MAPS_ATTRIBUTE = "TokenUNet.ReviewBasis", "TokenUNet.ReviewMasks"  # as version 0.1 has them
_VOLUME_TAG, _PEAK_TAG, _CENTER_TAG = "TokenUNet.VolumeMl", "TokenUNet.Peak", "TokenUNet.Center"
_MAPS_TAG, _DISMISSED_TAG = "TokenUNet.Masks", "TokenUNet.Dismissed"


class HintState(StrEnum):
    """What the user has decided about a hint."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class ListedHint:
    """A hint as the scene holds it.

    Attributes:
        identifier: of its segment.
        number: from 1.
        volume_ml: of the region.
        peak: Highest value of the combined maps in it; 1 is their median in the tumor.
        center: a point in it (RAS, mm).
        maps: Names of the maps that are high there.
        state: what the user has decided.
    """

    identifier: str
    number: int
    volume_ml: float
    peak: float
    center: Triple
    maps: str
    state: HintState

    @property
    def name(self) -> str:
        """For people, such as "review hint 2"."""
        return f"{_STYLE.title} {self.number}"


def look_for_hints(result: PatientResult) -> Iterator[None]:
    """Looks for hints in short steps and puts them into the scene at the last, in the place of earlier ones.

    Regions that were accepted before are part of the segmentation and are not listed again; dismissed ones are.

    Raises:
        MissingNodeError: where the reference volume or the attention maps are gone.
    """
    reference = result.require_reference()
    segmented = result.region("WT")
    yield
    for identifier in _accepted(result):
        segmented |= segment_voxels(result.segmentation, identifier, reference)
        yield
    brain = foreground(slicer.util.arrayFromVolume(reference))
    yield
    known = levels_from_notes(result.report.get("model", {}).get("tumor_selective_maps"))
    for found in review_steps(segmented, brain, _grid(reference), _attention_maps(result), known):
        yield
        if found is not None:
            _add_to_scene(result, found)
    yield


def listed_hints(result: PatientResult) -> list[ListedHint]:
    """The hints that the scene holds, by falling volume."""
    node = result.review_hints
    if node is None:
        return []
    accepted = _accepted(result)
    hints = []
    for identifier in node.GetSegmentation().GetSegmentIDs():
        segment = node.GetSegmentation().GetSegment(identifier)
        x, y, z = (float(c) for c in _tag(segment, _CENTER_TAG).split())
        state = HintState.DISMISSED if _tag(segment, _DISMISSED_TAG) else HintState.OPEN
        hints.append(
            ListedHint(
                identifier=identifier,
                number=_number(identifier),
                volume_ml=float(_tag(segment, _VOLUME_TAG)),
                peak=float(_tag(segment, _PEAK_TAG)),
                center=(x, y, z),
                maps=_tag(segment, _MAPS_TAG),
                state=HintState.ACCEPTED if identifier in accepted else state,
            )
        )
    return sorted(hints, key=lambda hint: -hint.volume_ml)


def review_basis(result: PatientResult) -> tuple[Basis, str] | None:
    """Return how the tumor-selective maps were found, and their names; None before candidates were looked for."""
    node = result.review_hints
    if node is None:
        return None
    return Basis(node.GetAttribute(_BASIS_ATTRIBUTE)), node.GetAttribute(_MAPS_ATTRIBUTE) or ""


def accept_hint(result: PatientResult, hint: ListedHint) -> None:
    """Adds a hint to the result as a segment of its own; deleting the segment takes it back.

    Raises:
        MissingNodeError: where the reference volume or the hint is gone.
    """
    reference = result.require_reference()
    _hint_segment(result, hint).RemoveTag(_DISMISSED_TAG)
    voxels = segment_voxels(result.review_hints, hint.identifier, reference)
    segment = _segment(hint.number, voxels.astype(np.uint8), _grid(reference))
    result.segmentation.GetSegmentation().AddSegment(segment, hint.identifier)
    show_open_hints(result)


def dismiss_hint(result: PatientResult, hint: ListedHint, dismissed: bool = True) -> None:
    """Notes that there is nothing to a hint, or takes that back; a dismissed one is not drawn.

    Raises:
        MissingNodeError: where the hint is gone.
    """
    segment = _hint_segment(result, hint)
    if dismissed:
        segment.SetTag(_DISMISSED_TAG, "1")
    else:
        segment.RemoveTag(_DISMISSED_TAG)
    show_open_hints(result)


def jump_to_hint(hint: ListedHint) -> None:
    """Moves all slice views to a hint."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *hint.center)


def show_open_hints(result: PatientResult) -> None:
    """Draws the outlines of the hints that nothing was decided about."""
    node = result.review_hints
    if node is None:
        return
    display = node.GetDisplayNode()
    for hint in listed_hints(result):
        display.SetSegmentVisibility(hint.identifier, hint.state is HintState.OPEN)


def _accepted(result: PatientResult) -> list[str]:
    identifiers = result.segmentation.GetSegmentation().GetSegmentIDs()
    return [identifier for identifier in identifiers if identifier.startswith(_IDENTIFIER)]


def _number(identifier: str) -> int:
    return int(identifier.removeprefix(_IDENTIFIER))


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _hint_segment(result: PatientResult, hint: ListedHint) -> slicer.vtkSegment:
    node = result.review_hints
    segment = node.GetSegmentation().GetSegment(hint.identifier) if node is not None else None
    if segment is None:
        raise MissingNodeError(f"The {hint.name} is no longer in the scene.", "Look for places again.")
    return segment


def _attention_maps(result: PatientResult) -> AttentionMaps:
    groups = [result.overlays(group.name) for group in (TOKEN_LEARNER, TOKEN_FUSER)]
    if any(list(maps) != list(range(1, len(groups[0]) + 1)) for maps in groups) or not all(groups):
        raise MissingNodeError(
            f"Not all attention maps of “{result.segmentation.GetName()}” are in the scene any more.", "Segment again."
        )
    learner, fuser = (np.stack([slicer.util.arrayFromVolume(node) for node in maps.values()]) for maps in groups)
    return AttentionMaps(learner, fuser, _grid(groups[0][1]))


def _grid(volume: slicer.vtkMRMLScalarVolumeNode) -> Grid:
    """Where a volume's voxels lie in the world, a linear transform applied."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    transform = volume.GetParentTransformNode()
    if transform is not None and transform.IsTransformToWorldLinear():
        to_world = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(to_world)
        vtk.vtkMatrix4x4.Multiply4x4(to_world, matrix, matrix)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ slicer.util.arrayFromVTKMatrix(matrix)
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    return Grid(
        size=volume.GetImageData().GetDimensions(),
        spacing=tuple(spacing.tolist()),
        origin=tuple(to_lps[:3, 3].tolist()),
        direction=tuple((to_lps[:3, :3] / spacing).ravel().tolist()),
    )


def _add_to_scene(result: PatientResult, found: ReviewCandidates) -> None:
    earlier = result.review_hints
    if earlier is not None:
        remove_node(earlier)
    reference = result.require_reference()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{reference.GetName()} review hints")
    node.CreateDefaultDisplayNodes()
    node.SetAttribute(_BASIS_ATTRIBUTE, found.basis.value)
    node.SetAttribute(_MAPS_ATTRIBUTE, ", ".join(levels.name for levels in found.selective_maps))
    taken = max((_number(identifier) for identifier in _accepted(result)), default=0)
    for hint in found.candidates:
        segment = _segment(taken + hint.number, (found.labels == hint.number).astype(np.uint8), found.grid)
        x, y, z = hint.center
        for tag, text in {
            _VOLUME_TAG: f"{hint.volume_ml:.3f}",
            _PEAK_TAG: f"{hint.peak:.3f}",
            _CENTER_TAG: f"{-x:.3f} {-y:.3f} {z:.3f}",
            _MAPS_TAG: ", ".join(levels.name for levels in hint.maps),
        }.items():
            segment.SetTag(tag, text)
        node.GetSegmentation().AddSegment(segment, f"{_IDENTIFIER}{taken + hint.number}")
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility3D(False)
    result.segmentation.SetNodeReferenceID(HINTS_ROLE, node.GetID())
    subject_hierarchy().CreateItem(result.folder_item, node)


def _segment(number: int, voxels: NDArray[np.uint8], grid: Grid) -> slicer.vtkSegment:
    to_world = slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.index_to_lps)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*grid.size)
    image.SetImageToWorldMatrix(to_world)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    segment = slicer.vtkSegment()
    segment.SetName(f"{_STYLE.title} {number}")
    segment.SetColor(*_STYLE.color)
    segment.SetTerminology(_STYLE.terminology_entry)
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), image)
    return segment
