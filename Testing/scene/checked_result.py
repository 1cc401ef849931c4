"""A synthetic patient's result in the scene, and all that must be true of it."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from synthetic_output import NUMBER_OF_MAPS, SyntheticPatient
from test_segmentation_file import ijk_to_ras
from tokenunet.core.regions import REGIONS
from tokenunet.core.terminology import LABEL_STYLES, REGION_STYLES
from TokenUNetSegmentationLib.scene.load_result import build_result
from TokenUNetSegmentationLib.scene.nodes import child_items, subject_hierarchy
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.volumes import load_volume


def build(patient: SyntheticPatient, name: str = "") -> PatientResult:
    nodes = {sequence: load_volume(path, f"{name}{sequence}") for sequence, path in patient.inputs.items()}
    return build_result(nodes, "T1ce", patient.output)


def item_names(item: int) -> set[str]:
    return {subject_hierarchy().GetItemName(child) for child in child_items(item)}


def check_result(result: PatientResult, patient: SyntheticPatient) -> None:
    """All that must be true of a result, fresh or loaded again."""
    segmentation = result.segmentation.GetSegmentation()
    assert segmentation.GetSegmentIDs() == REGIONS
    for name, style in REGION_STYLES.items():
        segment = segmentation.GetSegment(name)
        assert segment.GetName() == style.title
        assert segment.GetColor() == pytest.approx(style.color, abs=1e-5)
        assert segment.GetTerminology() == style.terminology_entry
    np.testing.assert_array_equal(result.regions(), patient.regions)
    assert set(result.inputs) == set(patient.inputs)
    assert result.reference is result.inputs["T1ce"]
    geometry = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert result.segmentation.GetNodeReference(geometry) is result.reference
    for group in ("token_learner", "token_fuser"):
        check_overlays(result, patient, group)
    table = result.volume_table.GetTable()
    assert [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())] == ["Region", "Volume"]
    assert result.volume_table.GetColumnUnitLabel("Volume") == "ml"
    styles = REGION_STYLES | LABEL_STYLES
    volumes = {table.GetValue(i, 0).ToString(): table.GetValue(i, 1).ToDouble() for i in range(table.GetNumberOfRows())}
    expected = {styles[name].title: ml for name, ml in patient.report["volumes_ml"].items()}
    assert volumes == pytest.approx(expected, abs=1e-3)
    assert result.report == patient.report
    assert item_names(result.folder_item) >= {
        result.segmentation.GetName(),
        result.volume_table.GetName(),
        result.report_node.GetName(),
        "TokenLearner maps",
        "TokenFuser maps",
    }


def check_overlays(result: PatientResult, patient: SyntheticPatient, group: str) -> None:
    overlays = result.overlays(group)
    part = {"token_learner": "TokenLearner", "token_fuser": "TokenFuser"}[group]
    assert list(overlays) == list(range(1, NUMBER_OF_MAPS + 1))
    assert len({overlay.GetDisplayNode().GetColorNodeID() for overlay in overlays.values()}) == 1
    folders = {
        subject_hierarchy().GetItemParent(subject_hierarchy().GetItemByDataNode(overlay))
        for overlay in overlays.values()
    }
    assert [subject_hierarchy().GetItemName(folder) for folder in folders] == [f"{part} maps"]
    assert subject_hierarchy().GetItemParent(folders.pop()) == result.folder_item
    for number, overlay in overlays.items():
        stem = f"{group}_{number}"
        assert overlay.GetName() == f"{part} {number}"
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(overlay), patient.maps[stem])
        file = sitk.ReadImage(patient.output / "overlays" / group / f"{stem}.nii.gz")
        matrix = vtk.vtkMatrix4x4()
        overlay.GetIJKToRASMatrix(matrix)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), ijk_to_ras(file), atol=1e-5)
        display = overlay.GetDisplayNode()
        assert display.GetInterpolate()
        assert not display.GetAutoWindowLevel()
        colors = display.GetColorNode()
        assert colors.GetNumberOfColors() == 256
        if group == "token_learner":
            assert display.GetWindowLevelMin() == pytest.approx(1, abs=1e-3)
            assert display.GetApplyThreshold()
            assert 1 <= display.GetLowerThreshold() < display.GetWindowLevelMax()
        else:
            assert display.GetWindowLevelMin() == pytest.approx(-display.GetWindowLevelMax())
            assert opacity(colors, 127) == 0
            assert opacity(colors, 0) == opacity(colors, 255) == 1


def rgba(colors: slicer.vtkMRMLColorTableNode, entry: int) -> list[float]:
    value = [0.0] * 4
    assert colors.GetColor(entry, value)
    return value


def opacity(colors: slicer.vtkMRMLColorTableNode, entry: int) -> float:
    return rgba(colors, entry)[3]


def scene_state() -> tuple[set[str], set[int]]:
    """IDs of nodes and of subject hierarchy items."""
    items = child_items(subject_hierarchy().GetSceneItemID(), recursive=True)
    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}, set(items)
