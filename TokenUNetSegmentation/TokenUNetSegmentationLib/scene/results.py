"""Nodes of a segmented patient in the scene, linked by node references.

The segmentation node is the anchor: it references the inputs and all other result nodes. Names are not used, so
patients with the same names never mix, and the references survive saving and loading of the scene.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.builtin_overlays import ENSEMBLE_UNCERTAINTY, TOKEN_FUSER, TOKEN_LEARNER
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.old_keys import with_current_keys
from tokenunet.core.overlays import OverlayGroup
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.sequences import SEQUENCES, SequenceName

from TokenUNetSegmentationLib.scene.nodes import child_items, remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.overlays import overlay_group, overlay_number
from TokenUNetSegmentationLib.scene.segment_voxels import is_on_grid, is_same_place, place_of, segment_voxels

RESULT_ATTRIBUTE = "TokenUNet.Result"
_PLACE_ATTRIBUTE = "TokenUNet.ReferencePlace"
REFERENCE_ROLE = "tokenUNetReference"
VOLUME_TABLE_ROLE = "tokenUNetVolumeTable"
REPORT_ROLE = "tokenUNetReport"
LABELS_ROLE = "tokenUNetExclusiveLabels"
CANDIDATES_ROLE = "tokenUNetReviewHints"  # as in scenes of version 0.1
DIAMETER_ROLE = "tokenUNetDiameter"
TRANSFORM_ROLE = "tokenUNetAlignment"
INPUT_ROLE = "tokenUNetInput"
"""Prefixes of roles, followed by the channel's name."""
OVERLAY_ROLE, COLORS_ROLE = "tokenUNetOverlay", "tokenUNetOverlayColors"
_OVERLAY_ROLES = (OVERLAY_ROLE, "tokenUNetTokenLearnerMask", "tokenUNetTokenFuserMask", "tokenUNetDisagreement")
_COLORS_ROLES = (COLORS_ROLE, "tokenUNetTokenLearnerColors", "tokenUNetTokenFuserColors")
"""Roles today and, from the second on, in scenes of version 0.1."""
_RESULT_ROLES = (
    VOLUME_TABLE_ROLE,
    REPORT_ROLE,
    LABELS_ROLE,
    CANDIDATES_ROLE,
    DIAMETER_ROLE,
    *_OVERLAY_ROLES,
    *_COLORS_ROLES,
)


class MissingNodeError(TokenUNetError):
    """A node of a result was removed from the scene."""

    code = "missing_node"


@dataclass(frozen=True)
class PatientResult:
    """One patient's result in the scene.

    All nodes are looked up at each access; those that the user has deleted are None or absent.

    Attributes:
        segmentation: Segmentation node, which references all others.
    """

    segmentation: slicer.vtkMRMLSegmentationNode

    @property
    def reference(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Input volume on whose grid the segmentation is."""
        return self.segmentation.GetNodeReference(REFERENCE_ROLE)

    def require_reference(self) -> slicer.vtkMRMLScalarVolumeNode:
        """Return the reference volume.

        Raises:
            MissingNodeError: If the user has deleted it, or moved it away from the segmentation.
        """
        reference = self.reference
        if reference is None or reference.GetImageData() is None:
            raise MissingNodeError(
                _("The reference volume of “{name}” is no longer in the scene.").format(
                    name=self.segmentation.GetName()
                ),
                _("Load it and segment again."),
            )
        if self._was_moved(reference):
            raise MissingNodeError(
                _("“{reference}” was moved or resampled since it was segmented, and “{name}” was not.").format(
                    reference=reference.GetName(), name=self.segmentation.GetName()
                ),
                _("Put both under the same transform, or segment again."),
            )
        return reference

    def remember_place(self) -> None:
        """Remember where the reference volume is, to notice later if it was moved away from the segmentation."""
        reference = self.require_reference()
        place = place_of(reference, self.segmentation)
        if place is not None:
            size = reference.GetImageData().GetDimensions()
            self.segmentation.SetAttribute(_PLACE_ATTRIBUTE, json.dumps([place.round(6).tolist(), size]))

    def _was_moved(self, reference: slicer.vtkMRMLScalarVolumeNode) -> bool:
        """Return whether the reference has another size or place, and is not on the segments' own grid either."""
        remembered = self.segmentation.GetAttribute(_PLACE_ATTRIBUTE)
        place = place_of(reference, self.segmentation) if remembered else None
        if place is None:
            return False
        matrix, size = json.loads(remembered)
        if tuple(size) != reference.GetImageData().GetDimensions():
            return True
        return not is_same_place(np.array(matrix), place) and not is_on_grid(self.segmentation, place)

    @property
    def inputs(self) -> dict[SequenceName, slicer.vtkMRMLScalarVolumeNode]:
        """Segmented volumes by channel."""
        return _by_channel(self.segmentation, INPUT_ROLE)

    @property
    def transforms(self) -> dict[SequenceName, slicer.vtkMRMLLinearTransformNode]:
        """Transforms that align the scans with the reference, by channel; empty if no scan had to be aligned."""
        return _by_channel(self.segmentation, TRANSFORM_ROLE)

    @property
    def overlay_groups(self) -> dict[str, OverlayGroup]:
        """Groups of the overlays that the scene holds, by name, in the order in which they were loaded."""
        return {group.name: group for group, _node in self._overlays()}

    def overlays(self, group: str) -> dict[int, slicer.vtkMRMLScalarVolumeNode]:
        """Return the overlays of a group by their numbers, which start at 1; empty if there are none."""
        nodes = [node for own, node in self._overlays() if own.name == group]
        return dict(sorted((overlay_number(node), node) for node in nodes))

    def _overlays(self) -> Iterator[tuple[OverlayGroup, slicer.vtkMRMLScalarVolumeNode]]:
        for role in _OVERLAY_ROLES:
            for node in _referenced(self.segmentation, role):
                yield overlay_group(node) or ENSEMBLE_UNCERTAINTY, node

    @property
    def has_attention_maps(self) -> bool:
        """Whether the scene holds maps of TokenLearner and of TokenFuser."""
        return {TOKEN_LEARNER.name, TOKEN_FUSER.name} <= set(self.overlay_groups)

    @property
    def color_tables(self) -> list[slicer.vtkMRMLColorTableNode]:
        """Color tables that belong to the overlays."""
        return [node for role in _COLORS_ROLES for node in _referenced(self.segmentation, role)]

    @property
    def volume_table(self) -> slicer.vtkMRMLTableNode | None:
        """Table with the volumes of regions and labels in ml."""
        return self.segmentation.GetNodeReference(VOLUME_TABLE_ROLE)

    @property
    def exclusive_labels(self) -> slicer.vtkMRMLSegmentationNode | None:
        """Segmentation of necrotic core, edema and enhancing tumor; None until it is first displayed."""
        return self.segmentation.GetNodeReference(LABELS_ROLE)

    @property
    def review_candidates(self) -> slicer.vtkMRMLSegmentationNode | None:
        """Segmentation of the review candidates; None before they were searched for."""
        return self.segmentation.GetNodeReference(CANDIDATES_ROLE)

    @property
    def diameter_lines(self) -> list[slicer.vtkMRMLMarkupsLineNode]:
        """Lines of the measurable lesions' diameters; empty until they are first displayed."""
        return _referenced(self.segmentation, DIAMETER_ROLE)

    @property
    def report_node(self) -> slicer.vtkMRMLTextNode | None:
        """Text node with the run report."""
        return self.segmentation.GetNodeReference(REPORT_ROLE)

    @property
    def report(self) -> dict[str, Any]:
        """Contents of the run report (run.json); empty if its node is gone or is no report any more."""
        node = self.report_node
        try:
            report = json.loads(node.GetText()) if node is not None else {}
        except ValueError:  # the user has edited the text
            return {}
        return with_current_keys(report) if isinstance(report, dict) else {}

    @property
    def folder_item(self) -> int:
        """Subject hierarchy item of the patient's folder."""
        hierarchy = subject_hierarchy()
        return hierarchy.GetItemParent(hierarchy.GetItemByDataNode(self.segmentation))

    def region(self, name: RegionName) -> NDArray[np.bool_]:
        """Return the voxels of a region, including the user's edits.

        Args:
            name: Name of the region.

        Returns:
            Binary mask (D, H, W) on the reference's grid; all False if the segment was deleted.

        Raises:
            MissingNodeError: If the reference volume is gone.
        """
        reference = self.require_reference()
        if self.segmentation.GetSegmentation().GetSegment(name) is None:
            return np.zeros(slicer.util.arrayFromVolume(reference).shape, bool)
        return segment_voxels(self.segmentation, name, reference)

    def regions(self) -> NDArray[np.bool_]:
        """Return the binary masks of all regions, (3, D, H, W) in the order of `REGIONS`."""
        return np.stack([self.region(name) for name in REGIONS])

    def nodes(self) -> Iterator[slicer.vtkMRMLNode]:
        """Iterate over all nodes of the result, without the inputs."""
        for role in _RESULT_ROLES:
            yield from _referenced(self.segmentation, role)
        yield from self.transforms.values()
        yield self.segmentation


def all_results() -> list[PatientResult]:
    """Return all results in the scene, the newest last."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [PatientResult(node) for node in nodes if node.GetAttribute(RESULT_ATTRIBUTE)]


def remove_result(result: PatientResult) -> None:
    """Remove a result from the scene, including those of its folders that are empty afterwards."""
    hierarchy = subject_hierarchy()
    nodes = list(result.nodes())
    items = (hierarchy.GetItemByDataNode(node) for node in nodes)
    folders = {hierarchy.GetItemParent(item) for item in items if item}
    for node in nodes:
        remove_node(node)
    remove_empty_folders(folders)


def remove_empty_folders(folders: Collection[int]) -> None:
    """Remove those folders that were created for results and are empty, and then their parents likewise.

    Others may hold what the user has put there, which would be removed with them.

    Args:
        folders: Items of the subject hierarchy.
    """
    hierarchy, left = subject_hierarchy(), set(folders)
    while emptied := [f for f in left if hierarchy.GetItemAttribute(f, RESULT_ATTRIBUTE) and not child_items(f)]:
        for folder in emptied:
            left.add(hierarchy.GetItemParent(folder))
            left.remove(folder)
            hierarchy.RemoveItem(folder)


def create_result_folder(parent: int, name: str) -> int:
    """Create a subject hierarchy folder that is removed with the result, and return its item."""
    folder = subject_hierarchy().CreateFolderItem(parent, name)
    subject_hierarchy().SetItemAttribute(folder, RESULT_ATTRIBUTE, "1")
    return folder


def _referenced(node: slicer.vtkMRMLNode, role: str) -> list[slicer.vtkMRMLNode]:
    nodes = (node.GetNthNodeReference(role, i) for i in range(node.GetNumberOfNodeReferences(role)))
    return [n for n in nodes if n is not None]


def _by_channel(node: slicer.vtkMRMLNode, role: str) -> dict[SequenceName, slicer.vtkMRMLNode]:
    """Return the nodes of a role by channel, those of `SEQUENCES` first."""
    roles = [node.GetNthNodeReferenceRole(i) for i in range(node.GetNumberOfNodeReferenceRoles())]
    names = [r.removeprefix(role) for r in roles if r.startswith(role)]
    found = {name: node.GetNodeReference(role + name) for name in (*SEQUENCES, *sorted(set(names) - set(SEQUENCES)))}
    return {name: referenced for name, referenced in found.items() if referenced is not None}
