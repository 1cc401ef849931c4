"""Diameters of lesions as lines in the scene, which can be moved; the run report follows them.

The run report is what table, page and DICOM objects read. A correction of the segmentation measures it again, and the
lines are drawn again then.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import slicer
from slicer.i18n import tr as _
from tokenunet.core.grid import Triple
from tokenunet.core.regions import RegionName
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.measurement import LesionDiameters, measure

from TokenUNetSegmentationLib.scene.nodes import remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.results import (
    DIAMETER_ROLE,
    PatientResult,
    create_result_folder,
    remove_empty_folders,
)
from TokenUNetSegmentationLib.scene.volumes import grid_of

Axis = Literal["longest", "perpendicular"]
_AXES: tuple[Axis, ...] = get_args(Axis)
_LESIONS, _MOVED = "lesions", "moved"
"""Keys of the run report."""
_REGION_ATTRIBUTE, _NUMBER_ATTRIBUTE = "TokenUNet.Region", "TokenUNet.Lesion"
_AXIS_ATTRIBUTE = "TokenUNet.Axis"
_SAME_MM = 0.01


@dataclass(frozen=True)
class ListedLesion:
    """Lesion of a result.

    Attributes:
        region: Region that it is a part of.
        number: Number within the region, from 1.
        diameters: Both diameters, as the user has left them.
    """

    region: RegionName
    number: int
    diameters: LesionDiameters

    @property
    def name(self) -> str:
        """Displayed name, such as "enhancing tumor 1"."""
        return f"{REGION_STYLES[self.region].title} {self.number}"

    @property
    def center(self) -> Triple:
        """Middle of the longest diameter (RAS, mm)."""
        x, y, z = np.mean([self.diameters.longest.start, self.diameters.longest.end], axis=0).tolist()
        return -x, -y, z


def listed_lesions(result: PatientResult) -> list[ListedLesion]:
    """Return the lesions of a result by region, those with the largest product first; none without a run report."""
    return [
        ListedLesion(region, number, LesionDiameters.from_json(entry))
        for region, entries in result.report.get(_LESIONS, {}).items()
        for number, entry in enumerate(entries, start=1)
    ]


def measure_lesions(result: PatientResult) -> None:
    """Measure the lesions of the current segmentation, which undoes moved lines.

    Raises:
        MissingNodeError: If the reference volume is gone.
    """
    report = result.report
    grid = grid_of(result.require_reference())
    lesions = measure(result.regions(), grid, report.get("not_segmented", ()))[_LESIONS]
    _write_report(result, report | {_LESIONS: lesions})
    update_lines(result)


def draw_lines(result: PatientResult) -> None:
    """Draw both diameters of every measurable lesion, in a folder of the patient, in place of earlier lines."""
    remove_lines(result)
    measurable = [lesion for lesion in listed_lesions(result) if lesion.diameters.is_measurable]
    folder = create_result_folder(result.folder_item, _("Diameters")) if measurable else 0
    for lesion in measurable:
        for axis in _AXES:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", f"{lesion.name} {axis}")
            node.CreateDefaultDisplayNodes()
            for point in _ends(lesion, axis):
                node.AddControlPointWorld(*point)
            node.SetAttribute(_REGION_ATTRIBUTE, lesion.region)
            node.SetAttribute(_NUMBER_ATTRIBUTE, str(lesion.number))
            node.SetAttribute(_AXIS_ATTRIBUTE, axis)
            display = node.GetDisplayNode()
            display.SetSelectedColor(*REGION_STYLES[lesion.region].color)
            display.SetPointLabelsVisibility(False)
            display.SetPropertiesLabelVisibility(False)
            display.SetVisibility3D(False)
            display.SetGlyphScale(1.5)
            result.segmentation.AddNodeReferenceID(DIAMETER_ROLE, node.GetID())
            subject_hierarchy().CreateItem(folder, node)


def remove_lines(result: PatientResult) -> None:
    """Remove the lines from the scene; the run report keeps what was moved."""
    hierarchy = subject_hierarchy()
    folders = set()
    for node in result.diameter_lines:
        folders.add(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)))
        remove_node(node)
    result.segmentation.RemoveNodeReferenceIDs(DIAMETER_ROLE)
    remove_empty_folders(folders)


def update_lines(result: PatientResult) -> None:
    """Draw the lines again if the lesions were measured again; without lines, nothing is drawn."""
    if result.diameter_lines and not _lines_are_current(result):
        draw_lines(result)


def take_over_line(result: PatientResult, node: slicer.vtkMRMLMarkupsLineNode) -> None:
    """Write the ends of a line that was moved, and the lengths that follow, to the run report."""
    report = result.report
    entries = report.get(_LESIONS, {}).get(node.GetAttribute(_REGION_ATTRIBUTE), [])
    number = int(node.GetAttribute(_NUMBER_ATTRIBUTE))
    if node.GetNumberOfControlPoints() != 2 or number > len(entries):
        return
    entry = entries[number - 1]
    entry["lines_lps_mm"][_AXES.index(node.GetAttribute(_AXIS_ATTRIBUTE))] = [
        [-x, -y, z] for x, y, z in _points_of(node)
    ]
    entries[number - 1] = LesionDiameters.from_json(entry).to_json() | {_MOVED: True}
    _write_report(result, report)


def _lines_are_current(result: PatientResult) -> bool:
    lesions = {(lesion.region, str(lesion.number)): lesion for lesion in listed_lesions(result)}
    drawn = set()
    for node in result.diameter_lines:
        lesion = lesions.get((node.GetAttribute(_REGION_ATTRIBUTE), node.GetAttribute(_NUMBER_ATTRIBUTE)))
        points = _points_of(node)
        if lesion is None or len(points) != 2:
            return False
        if np.abs(np.subtract(points, _ends(lesion, node.GetAttribute(_AXIS_ATTRIBUTE)))).max() > _SAME_MM:
            return False
        drawn.add((lesion.region, lesion.number))
    moved = {(lesion.region, lesion.number) for lesion in lesions.values() if lesion.diameters.is_measurable}
    return moved <= drawn


def _ends(lesion: ListedLesion, axis: Axis) -> list[Triple]:
    """Return the ends of a diameter (RAS, mm)."""
    line = lesion.diameters.longest if axis == "longest" else lesion.diameters.perpendicular
    return [(-x, -y, z) for x, y, z in (line.start, line.end)]


def _points_of(node: slicer.vtkMRMLMarkupsLineNode) -> list[Triple]:
    return [tuple(node.GetNthControlPointPositionWorld(i)) for i in range(node.GetNumberOfControlPoints())]


def _write_report(result: PatientResult, report: dict[str, Any]) -> None:
    node = result.report_node
    if node is not None:
        node.SetText(json.dumps(report, indent=2, ensure_ascii=False))
