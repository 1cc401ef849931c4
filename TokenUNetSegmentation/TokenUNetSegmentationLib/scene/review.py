"""Review candidates in the scene: regions that are not segmented but may be tumor.

The candidates are segments of a separate segmentation node, displayed as outlines. What is known of them and the user's
decisions are stored as tags of the segments, and saved with the scene.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.grid import Grid, Triple
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.terminology import Code, SegmentStyle
from tokenunet.review.candidates import CANDIDATES_FILE
from vtkmodules.util.numpy_support import numpy_to_vtk

from TokenUNetSegmentationLib.scene.nodes import display_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.results import CANDIDATES_ROLE, MissingNodeError, PatientResult
from TokenUNetSegmentationLib.scene.segment_voxels import segment_voxels
from TokenUNetSegmentationLib.scene.volumes import grid_of

_IDENTIFIER = "ReviewHint"  # as in scenes of version 0.1
_STYLE = SegmentStyle("review candidate", (204 / 255, 121 / 255, 167 / 255), Code("SCT", "52988006", "Lesion"))
_VOLUME_TAG, _CENTER_TAG = "TokenUNet.VolumeMl", "TokenUNet.Center"
_PROBABILITY_TAG, _SOURCES_TAG, _TOKEN_TAG = "TokenUNet.Probability", "TokenUNet.Sources", "TokenUNet.Token"
_DECISION_TAG, _DISMISSED_TAG_0_1 = "TokenUNet.Decision", "TokenUNet.Dismissed"


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
        probability: Probability that it is tumor; NaN in scenes of version 0.1.
        volume_ml: Volume of the region in ml.
        center: Point inside the region (RAS, mm).
        sources: What points to it, of `tokenunet.review.candidates.SOURCES`.
        token: Number of the token that adds most to the encoder's readout there; None if there is none.
        state: Decision of the user.
    """

    identifier: str
    number: int
    probability: float
    volume_ml: float
    center: Triple
    sources: tuple[str, ...]
    token: int | None
    state: CandidateState

    @property
    def name(self) -> str:
        """Displayed name, such as "review candidate 2"."""
        return f"{_STYLE.title} {self.number}"


def add_candidates(result: PatientResult, output: Path) -> None:
    """Add the review candidates of a run to the scene; nothing if there are none.

    Args:
        result: Result whose run report is in the scene.
        output: Output folder of ``tokenunet segment``.

    Raises:
        UnreadableImageError: If their labelmap cannot be read.
        MissingNodeError: If the reference volume is gone.
    """
    listed = result.report.get("review_candidates", [])
    if not listed:
        return
    try:
        labels = sitk.GetArrayFromImage(sitk.ReadImage(output / CANDIDATES_FILE))
    except RuntimeError as error:  # SimpleITK's only kind of error
        raise UnreadableImageError(
            _("{file} cannot be read.").format(file=output / CANDIDATES_FILE), _("Segment the patient again.")
        ) from error
    reference = result.require_reference()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{reference.GetName()} review candidates")
    node.CreateDefaultDisplayNodes()
    for entry in listed:
        segment = _segment(entry, (labels == entry["number"]).astype(np.uint8), grid_of(reference))
        node.GetSegmentation().AddSegment(segment, f"{_IDENTIFIER}{entry['number']}")
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility3D(False)
    result.segmentation.SetNodeReferenceID(CANDIDATES_ROLE, node.GetID())
    subject_hierarchy().CreateItem(result.folder_item, node)


def listed_candidates(result: PatientResult) -> list[ListedCandidate]:
    """Return the review candidates in the scene, the most probable first."""
    node = result.review_candidates
    if node is None:
        return []
    candidates = []
    for identifier in node.GetSegmentation().GetSegmentIDs():
        segment = node.GetSegmentation().GetSegment(identifier)
        x, y, z = (float(c) for c in _tag(segment, _CENTER_TAG).split())
        token = _tag(segment, _TOKEN_TAG)
        candidates.append(
            ListedCandidate(
                identifier=identifier,
                number=int(identifier.removeprefix(_IDENTIFIER)),
                probability=float(_tag(segment, _PROBABILITY_TAG) or math.nan),
                volume_ml=float(_tag(segment, _VOLUME_TAG)),
                center=(x, y, z),
                sources=tuple(_tag(segment, _SOURCES_TAG).split()),
                token=int(token) if token else None,
                state=_state(segment),
            )
        )
    return sorted(candidates, key=lambda candidate: candidate.number)


def accept_candidate(result: PatientResult, candidate: ListedCandidate) -> None:
    """Add a candidate to the whole tumor.

    Raises:
        MissingNodeError: If the reference volume, the whole tumor or the candidate is gone.
    """
    segment = _candidate_segment(result, candidate)
    _set_region(result, "WT", result.region("WT") | _voxels(result, candidate))
    segment.SetTag(_DECISION_TAG, CandidateState.ACCEPTED.value)
    show_open_candidates(result)


def dismiss_candidate(result: PatientResult, candidate: ListedCandidate) -> None:
    """Mark a candidate as no tumor, which hides its outline.

    Raises:
        MissingNodeError: If the candidate is gone.
    """
    _candidate_segment(result, candidate).SetTag(_DECISION_TAG, CandidateState.DISMISSED.value)
    show_open_candidates(result)


def reopen_candidate(result: PatientResult, candidate: ListedCandidate) -> None:
    """Revoke the decision about a candidate; what was accepted is removed from all regions again.

    Raises:
        MissingNodeError: If the reference volume, a region or the candidate is gone.
    """
    segment = _candidate_segment(result, candidate)
    if candidate.state is CandidateState.ACCEPTED:
        voxels = _voxels(result, candidate)
        for name in REGIONS:
            region = result.region(name)
            if (region & voxels).any():
                _set_region(result, name, region & ~voxels)
    segment.RemoveTag(_DECISION_TAG)
    segment.RemoveTag(_DISMISSED_TAG_0_1)
    show_open_candidates(result)


def jump_to_candidate(candidate: ListedCandidate) -> None:
    """Move all slice views to a candidate."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *candidate.center)


def show_open_candidates(result: PatientResult) -> None:
    """Display the outlines of the open candidates only."""
    node = result.review_candidates
    if node is None:
        return
    display = display_node(node)
    for candidate in listed_candidates(result):
        display.SetSegmentVisibility(candidate.identifier, candidate.state is CandidateState.OPEN)


def _state(segment: slicer.vtkSegment) -> CandidateState:
    if _tag(segment, _DISMISSED_TAG_0_1):
        return CandidateState.DISMISSED
    return CandidateState(_tag(segment, _DECISION_TAG) or CandidateState.OPEN)


def _voxels(result: PatientResult, candidate: ListedCandidate) -> NDArray[np.bool_]:
    return segment_voxels(result.review_candidates, candidate.identifier, result.require_reference())


def _set_region(result: PatientResult, name: RegionName, voxels: NDArray[np.bool_]) -> None:
    if result.segmentation.GetSegmentation().GetSegment(name) is None:
        raise MissingNodeError(
            _("The segment {segment} of “{name}” was deleted.").format(
                segment=name, name=result.segmentation.GetName()
            ),
            _("Segment again."),
        )
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        voxels.astype(np.uint8), result.segmentation, name, result.require_reference()
    )


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _candidate_segment(result: PatientResult, candidate: ListedCandidate) -> slicer.vtkSegment:
    node = result.review_candidates
    segment = node.GetSegmentation().GetSegment(candidate.identifier) if node is not None else None
    if segment is None:
        raise MissingNodeError(
            _("The {name} is no longer in the scene.").format(name=candidate.name), _("Segment again.")
        )
    return segment


def _segment(entry: Mapping[str, Any], voxels: NDArray[np.uint8], grid: Grid) -> slicer.vtkSegment:
    to_world = slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.index_to_lps)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*grid.size)
    image.SetImageToWorldMatrix(to_world)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    segment = slicer.vtkSegment()
    segment.SetName(f"{_STYLE.title} {entry['number']}")
    segment.SetColor(*_STYLE.color)
    segment.SetTerminology(_STYLE.terminology_entry)
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), image)
    x, y, z = entry["center_lps_mm"]
    for tag, text in {
        _VOLUME_TAG: f"{entry['volume_ml']:.3f}",
        _CENTER_TAG: f"{-x:.3f} {-y:.3f} {z:.3f}",
        _PROBABILITY_TAG: f"{entry['probability']:.3f}",
        _SOURCES_TAG: " ".join(entry["sources"]),
        _TOKEN_TAG: "" if entry["token"] is None else str(entry["token"]),
    }.items():
        segment.SetTag(tag, text)
    return segment
