"""Diameters of lesions as lines in the scene, which the run report follows."""

import numpy as np
import pytest
import slicer
from checked_result import build, item_names, scene_state
from synthetic_output import SyntheticPatient
from tokenunet.measurement import lesion_diameters
from TokenUNetSegmentationLib.scene.diameters import (
    draw_lines,
    listed_lesions,
    measure_lesions,
    remove_lines,
    take_over_line,
    update_lines,
)
from TokenUNetSegmentationLib.scene.results import PatientResult, remove_result
from TokenUNetSegmentationLib.scene.volumes import grid_of


@pytest.fixture
def result(host: object, patient: SyntheticPatient) -> PatientResult:
    """A result whose lesions were measured."""
    result = build(patient)
    measure_lesions(result)
    return result


def test_lines_are_the_measured_diameters_in_the_patients_folder(
    result: PatientResult, patient: SyntheticPatient
) -> None:
    draw_lines(result)
    (whole,) = lesion_diameters(patient.regions[0], grid_of(result.reference))
    longest, across, *_others = result.diameter_lines
    assert longest.GetLineLengthWorld() == pytest.approx(whole.longest.length_mm, abs=0.01)
    assert across.GetLineLengthWorld() == pytest.approx(whole.perpendicular.length_mm, abs=0.01)
    start = np.array(longest.GetNthControlPointPositionWorld(0)) * (-1, -1, 1)
    np.testing.assert_allclose(start, whole.longest.start, atol=0.01)
    assert len(result.diameter_lines) == 4, "whole and enhancing tumor"
    assert "Diameters" in item_names(result.folder_item)


def test_a_moved_line_changes_the_report(result: PatientResult) -> None:
    draw_lines(result)
    lesion = listed_lesions(result)[0]
    line = result.diameter_lines[0]
    x, y, z = line.GetNthControlPointPositionWorld(0)
    line.SetNthControlPointPositionWorld(1, x + 5, y, z)
    take_over_line(result, line)
    moved = listed_lesions(result)[0].diameters
    assert moved.longest.length_mm == pytest.approx(5, abs=0.01)
    assert moved.perpendicular == lesion.diameters.perpendicular
    assert not moved.is_measurable
    assert result.report["lesions"]["WT"][0]["moved"]
    update_lines(result)
    assert line.GetScene() is not None, "the line stays under the mouse"
    measure_lesions(result)
    assert listed_lesions(result)[0] == lesion
    assert result.diameter_lines[0].GetLineLengthWorld() == pytest.approx(lesion.diameters.longest.length_mm, abs=0.01)


def test_lines_are_removed_alone_and_with_the_result(host: object, patient: SyntheticPatient) -> None:
    result = build(patient)
    measure_lesions(result)
    before = scene_state()
    draw_lines(result)
    remove_lines(result)
    assert scene_state() == before
    draw_lines(result)
    remove_result(result)
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode") == []
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsDisplayNode") == []


def test_what_the_user_has_sorted_is_not_removed_with_lines(result: PatientResult) -> None:
    """Lines were dragged into a folder of the user's, and something else into theirs."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    mine = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "mine")
    kept = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name) for name in ("notes", "more notes")]
    draw_lines(result)
    lines = result.diameter_lines
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(kept[0]), mine)
    hierarchy.SetItemParent(
        hierarchy.GetItemByDataNode(kept[1]), hierarchy.GetItemParent(hierarchy.GetItemByDataNode(lines[1]))
    )
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(lines[0]), mine)
    remove_lines(result)
    assert result.diameter_lines == []
    assert all(slicer.mrmlScene.IsNodePresent(node) for node in kept)
    assert hierarchy.GetItemName(mine) == "mine"
