"""An ensemble's result in the scene: its uncertainty and the ranges of volumes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from checked_result import build, item_names, scene_state
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient, write_patient
from test_segmentation_file import ijk_to_ras
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.terminology import LABEL_STYLES, REGION_STYLES
from TokenUNetSegmentationLib.scene.export import run_report_text
from TokenUNetSegmentationLib.scene.load_result import build_result, volume_table_steps
from TokenUNetSegmentationLib.scene.results import PatientResult, all_results, remove_result
from TokenUNetSegmentationLib.scene.volumes import load_volume


def test_an_ensembles_result_has_its_uncertainty_and_ranges_of_volumes(host: OffscreenHost, tmp_path: Path):
    patient = write_patient(tmp_path / "patient", ensemble=True)
    result = build(patient)
    host.save(tmp_path / "scene.mrb")
    shutil.rmtree(patient.output)

    check_ensemble(result, patient)
    list(volume_table_steps(result))
    check_ensemble(result, patient)

    host.close()
    with OffscreenHost() as fresh:
        fresh.load(tmp_path / "scene.mrb")
        [loaded] = all_results()
        check_ensemble(loaded, patient)
        nodes_before = {node.GetID() for node in loaded.nodes()}
        assert loaded.overlays("ensemble_uncertainty")[1].GetID() in nodes_before
        remove_result(loaded)
        assert not any(slicer.mrmlScene.GetNodeByID(node) for node in nodes_before)


def check_ensemble(result: PatientResult, patient: SyntheticPatient) -> None:
    volume = result.overlays("ensemble_uncertainty")[1]
    assert volume.GetName() == "Ensemble uncertainty"
    assert "Ensemble uncertainty" in item_names(result.folder_item)
    values = slicer.util.arrayFromVolume(volume)
    assert values.shape == patient.regions[0].shape
    assert set(np.unique(values)) == {0, 0.25}
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), ijk_to_ras(patient.scan), atol=1e-4)
    display = volume.GetDisplayNode()
    assert display.GetColorNode() in result.color_tables
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0, 0.5))
    assert display.GetApplyThreshold()
    assert 0 < display.GetLowerThreshold() < 0.25
    for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert volume.GetID() not in (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID())
    table = result.volume_table.GetTable()
    columns = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert columns == ["Region", "Volume", "Smallest over folds", "Largest over folds"]
    assert all(result.volume_table.GetColumnUnitLabel(column) == "ml" for column in columns[1:])
    ranges = {table.GetValue(i, 0).ToString(): [table.GetValue(i, c).ToDouble() for c in (2, 3)] for i in range(5)}
    styles = REGION_STYLES | LABEL_STYLES
    assert ranges == {styles[name].title: ends for name, ends in patient.report["volumes_range_ml"].items()}
    assert "Ensemble of 5 networks" in run_report_text(result)


def test_an_ensembles_result_without_its_map_leaves_the_scene_as_it_was(
    host: OffscreenHost, tmp_path: Path, expected_vtk_messages
):
    patient = write_patient(tmp_path / "patient", ensemble=True)
    shutil.rmtree(patient.output / "overlays" / "ensemble_uncertainty")
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()

    with pytest.raises(UnreadableImageError, match=r"ensemble_uncertainty\.nii\.gz"):
        build_result(nodes, "T1ce", patient.output)

    assert scene_state() == before


def test_one_networks_result_has_no_uncertainty(host: OffscreenHost, patient: SyntheticPatient):
    assert build(patient).overlays("ensemble_uncertainty") == {}
