"""What can be done with a result: looked at, corrected, saved."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
import SimpleITK as sitk
from host.messages import collected_messages
from module.driving import changed, segment, wait_until
from tokenunet.core.regions import REGIONS


@pytest.fixture
def result(module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch) -> Any:
    """A segmented patient."""
    return segment(module)


@pytest.fixture
def save_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | str], None]:
    """Answers the question for a file name."""
    import qt

    def answer(path: Path | str) -> None:
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *question: str(path)))

    return answer


def test_outline_fill_and_opacity_change_the_views(module: host.LoadedModule, result: Any, app: Any) -> None:
    ui, pixels = module.widget.ui, app.layout_manager.pixels
    both = pixels("Red")
    ui.fillBox.click()
    outline = pixels("Red")
    assert changed(both, outline) > 0.01
    ui.outlineBox.click()
    neither = pixels("Red")
    assert changed(outline, neither) > 0.001
    ui.fillBox.click()
    filled = pixels("Red")
    ui.opacitySlider.value = 0.2
    assert 0 < np.abs(filled.astype(int) - neither).sum() > np.abs(pixels("Red").astype(int) - neither).sum()


def test_a_hidden_segment_leaves_the_views(module: host.LoadedModule, result: Any, app: Any) -> None:
    before = app.layout_manager.pixels("Red")
    result.segmentation.GetDisplayNode().SetSegmentVisibility("WT", False)
    assert changed(before, app.layout_manager.pixels("Red")) > 0.005


def test_exclusive_labels_and_back(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.ui
    ui.exclusiveBox.click()
    labels = result.exclusive_labels
    assert ui.segmentsTable.segmentationNode() == labels
    assert labels.GetDisplayNode().GetVisibility()
    assert not result.segmentation.GetDisplayNode().GetVisibility()
    ui.exclusiveBox.click()
    assert ui.segmentsTable.segmentationNode() == result.segmentation
    assert result.segmentation.GetDisplayNode().GetVisibility()


def test_surfaces_are_made_when_asked_for(module: host.LoadedModule, result: Any) -> None:
    segmentation = result.segmentation.GetSegmentation()
    assert not segmentation.ContainsRepresentation("Closed surface")
    result.segmentation.GetDisplayNode().SetVisibility3D(False)
    module.widget.ui.show3DBox.click()
    wait_until(result.segmentation.GetDisplayNode().GetVisibility3D)
    assert segmentation.ContainsRepresentation("Closed surface")
    module.widget.ui.show3DBox.click()
    assert not result.segmentation.GetDisplayNode().GetVisibility3D()


def test_surfaces_made_one_by_one_are_slicers_own(module: host.LoadedModule, result: Any) -> None:
    from TokenUNetSegmentationLib.scene.displays import surface_steps

    segmentation = result.segmentation.GetSegmentation()
    assert sum(1 for _step in surface_steps(result)) == 3
    points = [segmentation.GetSegment(r).GetRepresentation("Closed surface").GetNumberOfPoints() for r in REGIONS]
    segmentation.CreateRepresentation("Closed surface", True)
    assert points == [
        segmentation.GetSegment(r).GetRepresentation("Closed surface").GetNumberOfPoints() for r in REGIONS
    ]
    assert min(points) > 0


def test_jump_shows_the_tumor_again(module: host.LoadedModule, result: Any, app: Any) -> None:
    node = app.layout_manager.sliceWidget("Red").mrmlSliceNode()
    there = node.GetSliceOffset()
    node.SetSliceOffset(there + 40)
    module.widget.ui.jumpButton.click()
    assert node.GetSliceOffset() == pytest.approx(there, abs=1)


def test_saved_segmentation_has_the_three_regions(
    module: host.LoadedModule, result: Any, save_as: Any, tmp_path: Path, app: Any
) -> None:
    save_as(tmp_path / "tumor")
    module.widget.ui.exportSegButton.click()
    image = sitk.ReadImage(tmp_path / "tumor.seg.nrrd")
    names = {image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.endswith("_Name")}
    assert names == {"whole tumor", "tumor core", "enhancing tumor"}
    app.processEvents()  # the temporary storage node updates the panel, which must not wipe the message
    assert "Saved" in module.widget.ui.resultLabel.text


def test_saved_labels_lie_on_the_reference(
    module: host.LoadedModule, result: Any, save_as: Any, tmp_path: Path, patient: Any
) -> None:
    import slicer

    nodes_before = slicer.mrmlScene.GetNumberOfNodes()
    save_as(tmp_path / "labels.nii.gz")
    module.widget.ui.exportNiftiButton.click()
    saved = sitk.ReadImage(tmp_path / "labels.nii.gz")
    expected = sitk.ReadImage(patient.output / "labels.nii.gz")
    assert np.array_equal(sitk.GetArrayFromImage(saved), sitk.GetArrayFromImage(expected))
    assert np.allclose(saved.GetOrigin(), expected.GetOrigin(), atol=1e-3)
    assert np.allclose(saved.GetDirection(), expected.GetDirection(), atol=1e-4)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes_before


def test_saving_where_it_is_not_possible_is_said_and_keeps_the_old_file(
    module: host.LoadedModule, result: Any, save_as: Any, tmp_path: Path
) -> None:
    save_as(tmp_path / "absent" / "tumor.seg.nrrd")
    with collected_messages():  # Slicer says it, too
        module.widget.ui.exportSegButton.click()
    assert "cannot be written" in module.widget.ui.resultLabel.text


def test_dicom_export_says_what_it_needs(
    module: host.LoadedModule, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    button = module.widget.ui.exportDicomButton
    assert not button.enabled
    assert "QuantitativeReporting" in button.toolTip
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {"DICOMSegmentationPlugin": object}, raising=False)
    module.widget.onParametersChanged()
    assert "not loaded from DICOM" in button.toolTip
    result.reference.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    module.widget.onParametersChanged()
    assert button.enabled


def test_command_line_names_the_files(module: host.LoadedModule, result: Any, app: Any, patient: Any) -> None:
    module.widget.ui.commandButton.click()
    command = app.clipboard().text()
    assert command.startswith("tokenunet segment --t1 ")
    assert str(patient.inputs["FLAIR"]) in command
    assert "--output result" in command
    assert command.endswith("--reference T1ce --attention-maps")


def test_run_report_is_shown(module: host.LoadedModule, result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    shown: list[str] = []
    monkeypatch.setattr(slicer.util, "infoDisplay", lambda text, title: shown.append(text))
    module.widget.ui.reportButton.click()
    assert "Ödem «µ» µl" in shown[0]
    report = json.loads(result.report_node.GetText())
    assert report["reference"] == "T1ce"


def test_two_patients_results_are_kept_apart(module: host.LoadedModule, result: Any, patient: Any, app: Any) -> None:
    from TokenUNetSegmentationLib.scene.volumes import load_volume

    for sequence, path in patient.inputs.items():
        load_volume(path, f"Berta_{sequence}")
    app.processEvents()
    module.widget.ui.findButton.click()
    second = segment(module)
    assert second.segmentation != result.segmentation
    module.widget.ui.segmentationSelector.setCurrentNode(result.segmentation)
    assert module.widget.result() == result
    assert module.widget.ui.segmentsTable.segmentationNode() == result.segmentation


def test_an_ensembles_volumes_have_their_range_beside_them(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from scene.synthetic_output import write_patient

    ensemble = write_patient(tmp_path / "ensemble", ensemble=True)
    standin.setenv("STANDIN_RESULT", str(ensemble.output))
    table = module.widget.ui.volumesTable
    assert table.columnCount == 2
    result = segment(module)
    assert result.overlays("ensemble_uncertainty")
    assert table.columnCount == 3
    assert table.horizontalHeaderItem(2).text() == "Range"
    assert "members" in table.toolTip
    for row, name in enumerate(("WT", "TC", "ET", "NCR", "ED")):
        low, high = ensemble.report["volumes_range_ml"][name]  # type: ignore[index]
        assert table.item(row, 2).text() == f"{low:.1f} to {high:.1f}"
    assert module.widget.ui.volumesNote.isHidden()
    volumes = {row: (low, high) for row, (low, high) in enumerate(ensemble.report["volumes_range_ml"].values())}  # type: ignore[index]
    result.volume_table.SetCellText(0, 1, str(volumes[0][0] - 1))
    module.widget.resultPanel.show()
    assert table.item(0, 2).text().endswith(" *")
    assert "no member gave alone" in module.widget.ui.volumesNote.text
    assert not module.widget.ui.volumesNote.isHidden()


def test_aligned_scans_move_and_return(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, patient: Any, tmp_path: Path
) -> None:
    ui = module.widget.ui
    assert not segment(module).transforms
    assert ui.alignedBox.isHidden()
    output = shutil.copytree(patient.output, tmp_path / "aligned")
    (output / "transforms").mkdir()
    sitk.WriteTransform(sitk.TranslationTransform(3, (0.0, 0.0, 20.0)), output / "transforms" / "T2.tfm")
    (output / "run.json").write_text(json.dumps({**patient.report, "alignments": {"T2": {}}}))
    standin.setenv("STANDIN_RESULT", str(output))
    result = segment(module)
    assert not ui.alignedBox.isHidden()
    assert not ui.alignedBox.checked
    ui.alignedBox.click()
    assert result.inputs["T2"].GetParentTransformNode() is result.transforms["T2"]
    ui.alignedBox.click()
    assert result.inputs["T2"].GetParentTransformNode() is None
