"""Review candidates in the scene: unsegmented regions whose attention is as high as in the tumor.

The candidates are segments of a separate segmentation node, displayed as outlines. Their properties and whether they
were dismissed are stored as tags of the segments. A candidate is accepted as long as the result has a segment with its
identifier. All of this is saved with the scene, and deleting that segment revokes the acceptance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.background import foreground
from tokenunet.core.builtin_overlays import TOKEN_FUSER, TOKEN_LEARNER
from tokenunet.core.grid import Grid, Triple
from tokenunet.core.prediction import AttentionMaps
from tokenunet.core.terminology import Code, SegmentStyle
from tokenunet.review import Basis, ReviewCandidates, levels_from_notes, review_steps
from vtkmodules.util.numpy_support import numpy_to_vtk

from TokenUNetSegmentationLib.scene.results import (
    CANDIDATES_ROLE,
    MissingNodeError,
    PatientResult,
    remove_node,
    segment_voxels,
    subject_hierarchy,
)
from TokenUNetSegmentationLib.scene.volumes import grid_of

_IDENTIFIER = "ReviewHint"
_STYLE = SegmentStyle("review candidate", (204 / 255, 121 / 255, 167 / 255), Code("SCT", "52988006", "Lesion"))
_BASIS_ATTRIBUTE, _MAPS_ATTRIBUTE = "TokenUNet.ReviewBasis", "TokenUNet.ReviewMasks"  # as in scenes of version 0.1
_VOLUME_TAG, _PEAK_TAG, _CENTER_TAG = "TokenUNet.VolumeMl", "TokenUNet.Peak", "TokenUNet.Center"
_MAPS_TAG, _DISMISSED_TAG = "TokenUNet.Masks", "TokenUNet.Dismissed"


class CandidateState(StrEnum):
    """Decision of the user about a review candidate."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class ListedCandidate:
    """Review candidate stored in the scene.

    Attributes:
        identifier: Identifier of its segment.
        number: Number, from 1.
        volume_ml: Volume of the region in ml.
        peak: Highest value of the combined maps in the region; 1 is their median in the tumor.
        center: Point inside the region (RAS, mm).
        maps: Names of the maps that are high in the region, separated by commas.
        state: Decision of the user.
    """

    identifier: str
    number: int
    volume_ml: float
    peak: float
    center: Triple
    maps: str
    state: CandidateState

    @property
    def name(self) -> str:
        """Displayed name, such as "review candidate 2"."""
        return f"{_STYLE.title} {self.number}"


def find_candidates(result: PatientResult) -> Iterator[None]:
    """Find review candidates in short steps; the last step adds them to the scene and removes earlier ones.

    Regions that were accepted before are part of the segmentation and are not found again; dismissed ones are.

    Raises:
        MissingNodeError: If the reference volume or the attention maps are gone.
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
    for found in review_steps(segmented, brain, grid_of(reference), _attention_maps(result), known):
        yield
        if found is not None:
            _add_to_scene(result, found)
    yield


def listed_candidates(result: PatientResult) -> list[ListedCandidate]:
    """Return the review candidates in the scene, the largest first."""
    node = result.review_candidates
    if node is None:
        return []
    accepted = _accepted(result)
    candidates = []
    for identifier in node.GetSegmentation().GetSegmentIDs():
        segment = node.GetSegmentation().GetSegment(identifier)
        x, y, z = (float(c) for c in _tag(segment, _CENTER_TAG).split())
        state = CandidateState.DISMISSED if _tag(segment, _DISMISSED_TAG) else CandidateState.OPEN
        candidates.append(
            ListedCandidate(
                identifier=identifier,
                number=_number(identifier),
                volume_ml=float(_tag(segment, _VOLUME_TAG)),
                peak=float(_tag(segment, _PEAK_TAG)),
                center=(x, y, z),
                maps=_tag(segment, _MAPS_TAG),
                state=CandidateState.ACCEPTED if identifier in accepted else state,
            )
        )
    return sorted(candidates, key=lambda candidate: -candidate.volume_ml)


def review_basis(result: PatientResult) -> tuple[Basis, str] | None:
    """Return how the tumor-selective maps were found, and their names; None before candidates were looked for."""
    node = result.review_candidates
    if node is None:
        return None
    return Basis(node.GetAttribute(_BASIS_ATTRIBUTE)), node.GetAttribute(_MAPS_ATTRIBUTE) or ""


def accept_candidate(result: PatientResult, candidate: ListedCandidate) -> None:
    """Add a candidate to the result as a separate segment; deleting the segment reverts this.

    Raises:
        MissingNodeError: If the reference volume or the candidate is gone.
    """
    reference = result.require_reference()
    _candidate_segment(result, candidate).RemoveTag(_DISMISSED_TAG)
    voxels = segment_voxels(result.review_candidates, candidate.identifier, reference)
    segment = _segment(candidate.number, voxels.astype(np.uint8), grid_of(reference))
    result.segmentation.GetSegmentation().AddSegment(segment, candidate.identifier)
    show_open_candidates(result)


def dismiss_candidate(result: PatientResult, candidate: ListedCandidate, dismissed: bool = True) -> None:
    """Mark a candidate as dismissed, which hides its outline, or as open again.

    Args:
        result: Patient.
        candidate: Candidate to mark.
        dismissed: Whether the candidate is dismissed.

    Raises:
        MissingNodeError: If the candidate is gone.
    """
    segment = _candidate_segment(result, candidate)
    if dismissed:
        segment.SetTag(_DISMISSED_TAG, "1")
    else:
        segment.RemoveTag(_DISMISSED_TAG)
    show_open_candidates(result)


def jump_to_candidate(candidate: ListedCandidate) -> None:
    """Move all slice views to a candidate."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *candidate.center)


def show_open_candidates(result: PatientResult) -> None:
    """Display the outlines of the open candidates only."""
    node = result.review_candidates
    if node is None:
        return
    display = node.GetDisplayNode()
    for candidate in listed_candidates(result):
        display.SetSegmentVisibility(candidate.identifier, candidate.state is CandidateState.OPEN)


def _accepted(result: PatientResult) -> list[str]:
    identifiers = result.segmentation.GetSegmentation().GetSegmentIDs()
    return [identifier for identifier in identifiers if identifier.startswith(_IDENTIFIER)]


def _number(identifier: str) -> int:
    return int(identifier.removeprefix(_IDENTIFIER))


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _candidate_segment(result: PatientResult, candidate: ListedCandidate) -> slicer.vtkSegment:
    node = result.review_candidates
    segment = node.GetSegmentation().GetSegment(candidate.identifier) if node is not None else None
    if segment is None:
        raise MissingNodeError(
            _("The {name} is no longer in the scene.").format(name=candidate.name), _("Find review candidates again.")
        )
    return segment


def _attention_maps(result: PatientResult) -> AttentionMaps:
    groups = [result.overlays(group.name) for group in (TOKEN_LEARNER, TOKEN_FUSER)]
    if any(list(maps) != list(range(1, len(groups[0]) + 1)) for maps in groups) or not all(groups):
        raise MissingNodeError(
            _("Not all attention maps of “{name}” are in the scene.").format(name=result.segmentation.GetName()),
            _("Segment again."),
        )
    learner, fuser = (np.stack([slicer.util.arrayFromVolume(node) for node in maps.values()]) for maps in groups)
    return AttentionMaps(learner, fuser, grid_of(groups[0][1]))


def _add_to_scene(result: PatientResult, found: ReviewCandidates) -> None:
    earlier = result.review_candidates
    if earlier is not None:
        remove_node(earlier)
    reference = result.require_reference()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{reference.GetName()} review candidates")
    node.CreateDefaultDisplayNodes()
    node.SetAttribute(_BASIS_ATTRIBUTE, found.basis.value)
    node.SetAttribute(_MAPS_ATTRIBUTE, ", ".join(levels.name for levels in found.selective_maps))
    taken = max((_number(identifier) for identifier in _accepted(result)), default=0)
    for candidate in found.candidates:
        segment = _segment(taken + candidate.number, (found.labels == candidate.number).astype(np.uint8), found.grid)
        x, y, z = candidate.center
        for tag, text in {
            _VOLUME_TAG: f"{candidate.volume_ml:.3f}",
            _PEAK_TAG: f"{candidate.peak:.3f}",
            _CENTER_TAG: f"{-x:.3f} {-y:.3f} {z:.3f}",
            _MAPS_TAG: ", ".join(levels.name for levels in candidate.maps),
        }.items():
            segment.SetTag(tag, text)
        node.GetSegmentation().AddSegment(segment, f"{_IDENTIFIER}{taken + candidate.number}")
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility3D(False)
    result.segmentation.SetNodeReferenceID(CANDIDATES_ROLE, node.GetID())
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
