"""Nodes of a follow-up in the scene: aligned scans, their segmentations, maps of change; linked views side by side."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import regions_from_labels
from tokenunet.followup.request import REPORT
from tokenunet.io.overlay_files import list_overlays
from tokenunet.study.image_files import read_image

from TokenUNetSegmentationLib.scene.displays import OPACITY_2D_FILL, OVERLAY_OPACITY
from TokenUNetSegmentationLib.scene.nodes import child_items, display_node, remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.overlay_views import enter_grid, link_views, view_name
from TokenUNetSegmentationLib.scene.overlays import create_color_table, load_overlay, set_threshold
from TokenUNetSegmentationLib.scene.results import create_result_folder, remove_empty_folders
from TokenUNetSegmentationLib.scene.segmentation_file import add_regions
from TokenUNetSegmentationLib.scene.volumes import detach_from_file, load_volume

_OUTPUT_ATTRIBUTE = "TokenUNet.FollowUp"
"""Attribute of the text node with the report: folder of the results."""
_VOLUME_ROLE, _SEGMENTATION_ROLE, _MAP_ROLE = "tokenUNetTimePoint", "tokenUNetTumor", "tokenUNetChange"
_SMALLEST_SHOWN = 0.2
"""Threshold of the maps, as a share of their range, so that a change of one region is visible."""


@dataclass
class FollowUpNodes:
    """Nodes of one follow-up, all in the space of the first time point.

    Attributes:
        report: Report, as in ``follow_up.json``.
        output: Folder of the results.
        folder: Item of its folder in the subject hierarchy.
        volumes: Reference scan of each time point.
        segmentations: Segmentation of each time point.
        maps: Maps of change.
        colors: Color tables of the maps.
        texts: Text node with the report, which references the others, so that a saved scene keeps all.
    """

    report: dict[str, Any]
    output: Path
    folder: int
    volumes: list[slicer.vtkMRMLScalarVolumeNode] = field(default_factory=list)
    segmentations: list[slicer.vtkMRMLSegmentationNode] = field(default_factory=list)
    maps: list[slicer.vtkMRMLScalarVolumeNode] = field(default_factory=list)
    colors: list[slicer.vtkMRMLColorTableNode] = field(default_factory=list)
    texts: list[slicer.vtkMRMLTextNode] = field(default_factory=list)

    def is_complete(self) -> bool:
        """Return whether all nodes are still in the scene."""
        nodes = (*self.volumes, *self.segmentations, *self.maps)
        return all(slicer.mrmlScene.IsNodePresent(node) for node in nodes)

    def remove(self) -> None:
        """Remove all nodes that are still in the scene, and the folder if nothing else is in it."""
        for node in (*self.texts, *self.maps, *self.segmentations, *self.volumes, *self.colors):
            if slicer.mrmlScene.IsNodePresent(node):
                remove_node(node)
        remove_empty_folders([self.folder])


def load_steps(output: Path, name: str) -> Iterator[FollowUpNodes]:
    """Load a follow-up into the scene in short steps that keep the window responsive.

    Args:
        output: Folder of the results.
        name: Name of the patient, for the folder.

    Yields:
        The nodes, with more of them after each step. Closing the iterator before its end removes them.

    Raises:
        UnreadableImageError: If a file is missing or damaged.
    """
    try:
        report = json.loads((output / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableImageError(
            _("{file} cannot be read.").format(file=output / REPORT), _("Compare the time points again.")
        ) from error
    root = subject_hierarchy().GetSceneItemID()
    nodes = FollowUpNodes(report, output, create_result_folder(root, _("{name} follow-up").format(name=name)))
    try:
        for point in report["time_points"]:
            yield from _load_time_point(nodes, point["name"], output / point["scan"], output / point["labels"])
        yield from _load_maps(nodes, output)
        _keep_report(nodes)
    except BaseException:
        nodes.remove()
        raise
    yield nodes


def follow_up_in_scene() -> FollowUpNodes | None:
    """Return the newest follow-up in the scene, as after loading a saved one; None if there is no complete one."""
    for text in reversed(slicer.util.getNodesByClass("vtkMRMLTextNode")):
        output = text.GetAttribute(_OUTPUT_ATTRIBUTE)
        if not output:
            continue
        try:
            report = json.loads(text.GetText())
        except ValueError:
            continue
        hierarchy = subject_hierarchy()  # `GetItemByDataNode` logs an error for each node of a loaded scene
        items = child_items(hierarchy.GetSceneItemID(), recursive=True)
        found = (hierarchy.GetItemParent(item) for item in items if hierarchy.GetItemDataNode(item) is text)
        folder = next(found, hierarchy.GetSceneItemID())
        volumes, segmentations, maps = (
            _referenced(text, role) for role in (_VOLUME_ROLE, _SEGMENTATION_ROLE, _MAP_ROLE)
        )
        colors = list({map_.GetDisplayNode().GetColorNode() for map_ in maps if map_.GetDisplayNode() is not None})
        if len(volumes) == len(segmentations) == len(report["time_points"]):
            return FollowUpNodes(report, Path(output), folder, volumes, segmentations, maps, colors, [text])
    return None


def _keep_report(nodes: FollowUpNodes) -> None:
    """Add the report to the scene, with references to the other nodes."""
    text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", _("Follow-up report"))
    nodes.texts.append(text)
    text.SetText(json.dumps(nodes.report))
    text.SetAttribute(_OUTPUT_ATTRIBUTE, str(nodes.output))
    for role, referenced in (
        (_VOLUME_ROLE, nodes.volumes),
        (_SEGMENTATION_ROLE, nodes.segmentations),
        (_MAP_ROLE, nodes.maps),
    ):
        for node in referenced:
            text.AddNodeReferenceID(role, node.GetID())
    subject_hierarchy().CreateItem(nodes.folder, text)


def _referenced(text: slicer.vtkMRMLTextNode, role: str) -> list[Any]:
    nodes = (text.GetNthNodeReference(role, n) for n in range(text.GetNumberOfNodeReferences(role)))
    return [node for node in nodes if node is not None]


def _load_time_point(nodes: FollowUpNodes, name: str, scan: Path, labels: Path) -> Iterator[FollowUpNodes]:
    volume = load_volume(scan, name)
    detach_from_file(volume)
    nodes.volumes.append(volume)
    subject_hierarchy().CreateItem(nodes.folder, volume)
    yield nodes
    image = read_image(labels)
    regions = regions_from_labels(sitk.GetArrayFromImage(image))
    layers = sitk.Compose([Grid.of(image).image(region.astype("uint8")) for region in regions])
    yield nodes
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", _("{name} tumor").format(name=name))
    nodes.segmentations.append(segmentation)
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    subject_hierarchy().CreateItem(nodes.folder, segmentation)
    for _region in add_regions(segmentation, layers):
        yield nodes


def _load_maps(nodes: FollowUpNodes, output: Path) -> Iterator[FollowUpNodes]:
    for files in list_overlays(nodes.report, output):
        for number, (overlay, path) in enumerate(zip(files.group.overlays, files.paths, strict=True), start=1):
            if not nodes.colors:
                title = f"{files.group.title} colors"
                nodes.colors.append(create_color_table(title, overlay.colormap, overlay.signed))
            node = load_overlay(path, overlay, files.group, number, nodes.colors[0])
            nodes.maps.append(node)
            set_threshold([node], _SMALLEST_SHOWN)
            subject_hierarchy().CreateItem(nodes.folder, node)
            yield nodes


def show_side_by_side(nodes: FollowUpNodes) -> int:
    """Display each time point with its tumor in a slice view of its own, all of them linked, at the largest lesion.

    Args:
        nodes: Nodes of a follow-up.

    Returns:
        Number of the layout that was displayed before.
    """
    views = [view_name(number) for number in range(1, len(nodes.volumes) + 1)]
    before = enter_grid(len(views))
    manager = slicer.app.layoutManager()
    for view, volume, segmentation in zip(views, nodes.volumes, nodes.segmentations, strict=True):
        logic = manager.sliceWidget(view).sliceLogic()
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        display = display_node(segmentation)
        display.SetViewNodeIDs((logic.GetSliceNode().GetID(),))
        display.SetOpacity2DFill(OPACITY_2D_FILL)
    link_views(views)
    lesions = [lesion for region in nodes.report["lesions"].values() for lesion in region]
    if lesions:
        left, posterior, superior = max(lesions, key=lambda lesion: max(lesion["volumes_ml"]))["center_lps_mm"]
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, -left, -posterior, superior)
    return before


def show_map(nodes: FollowUpNodes, number: int) -> None:
    """Display a map of change over all time points that are side by side.

    Args:
        nodes: Nodes of a follow-up.
        number: Number of the map, from 1; 0 displays none.
    """
    shown = nodes.maps[number - 1].GetID() if number else None
    views = {view_name(n) for n in range(1, len(nodes.volumes) + 1)}
    for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if layers.GetLayoutName() in views:
            layers.SetForegroundVolumeID(shown)
            layers.SetForegroundOpacity(OVERLAY_OPACITY)


def leave_views(layout: int) -> None:
    """Return to a layout that was displayed before.

    Args:
        layout: Number of the layout.
    """
    slicer.app.layoutManager().setLayout(layout)
