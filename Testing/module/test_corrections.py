"""Corrections of a result: in the Segment Editor, in SlicerNNInteractive, saved, and undone."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import host
import numpy as np
import pytest
import SimpleITK as sitk
from module.driving import node_ids, segment, wait_until


@pytest.fixture
def result(module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch) -> Any:
    """A segmented patient, whose regions the panel knows."""
    result = segment(module)
    wait_until(lambda: settled(module, result))
    return result


def settled(module: host.LoadedModule, result: Any) -> bool:
    """Whether all corrections were taken over."""
    panel = module.widget.resultPanel
    return panel._corrections.knows(result) and not panel._updating.running


@pytest.fixture
def editor(result: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand-ins for the Segment Editor, SlicerNNInteractive's widget and the module selector.

    `asked` holds what the panel set; `install_nn_interactive` adds that module.
    """
    import qt
    import slicer

    class ModuleSelector(qt.QObject):
        moduleSelected = qt.Signal(str)  # noqa: N815  Slicer's name

    asked: dict[str, Any] = {}
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    selector = ModuleSelector()
    widget = SimpleNamespace(
        mrmlSegmentEditorNode=lambda: node,
        setSegmentationNode=lambda node: asked.update(segmentation=node),
        setSourceVolumeNode=lambda node: asked.update(source=node),
        setCurrentSegmentID=lambda segment: asked.update(segment=segment),
    )

    def module_with(**members: Any) -> SimpleNamespace:
        representation = SimpleNamespace(self=lambda: SimpleNamespace(**members))
        return SimpleNamespace(widgetRepresentation=lambda: representation)

    monkeypatch.setattr(slicer.util, "selectModule", lambda name: asked.update(module=name))
    monkeypatch.setattr(slicer.util, "moduleSelector", lambda: selector)
    monkeypatch.setattr(slicer.modules, "segmenteditor", module_with(editor=widget), raising=False)

    def install_nn_interactive(ui: SimpleNamespace) -> None:
        monkeypatch.setattr(slicer.modules, "slicernninteractive", module_with(ui=ui), raising=False)

    return SimpleNamespace(
        asked=asked, node=node, selector=selector, widget=widget, install_nn_interactive=install_nn_interactive
    )


def paint(result: Any, name: str, where: Any, value: int = 1) -> None:
    """Do what a dab with the brush or the eraser does to a region."""
    import slicer

    voxels = result.region(name).astype(np.uint8)
    voxels[where] = value
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, result.segmentation, name, result.reference)


CORNER = np.s_[:2, :10, :10]
CORNER_ML = 2 * 10 * 10 * 2 * 2 * 2.5 / 1000


def return_to_module(module: host.LoadedModule, result: Any) -> None:
    """Open the module again and wait until a correction is taken over."""
    module.widget.enter()
    wait_until(lambda: settled(module, result))


def test_correction_is_measured_recorded_and_undone(module: host.LoadedModule, result: Any) -> None:
    from tokenunet.measurement import measure
    from TokenUNetSegmentationLib.scene.export import run_report_text
    from TokenUNetSegmentationLib.scene.volumes import grid_of

    ui = module.widget.ui
    before, report = result.regions(), result.report
    table = [ui.volumesTable.item(row, 1).text() for row in range(3)]
    assert ui.undoButton.isHidden()
    paint(result, "ET", CORNER)
    nodes = node_ids()
    return_to_module(module, result)
    edited = before.copy()
    edited[:, *CORNER] = True
    np.testing.assert_array_equal(result.regions(), edited)
    assert node_ids() == nodes
    measured = measure(edited, grid_of(result.reference))
    assert {name: result.report[name] for name in measured} == measured
    (edit,) = result.report["edits"]
    change = {"added_ml": CORNER_ML, "removed_ml": 0.0}
    assert edit["regions"] == {"WT": change, "TC": change, "ET": change}
    assert f"; enhancing tumor +{CORNER_ML:.2f} ml." in run_report_text(result)
    assert "Corrected by hand on" in ui.volumesNote.text
    shown = [float(ui.volumesTable.item(row, 1).text()) for row in range(3)]
    np.testing.assert_allclose(shown, [float(text) + CORNER_ML for text in table], atol=0.11)

    ui.undoButton.click()
    wait_until(lambda: settled(module, result))
    np.testing.assert_array_equal(result.regions(), before)
    assert "edits" not in result.report
    assert result.report["volumes_ml"] == report["volumes_ml"]
    assert [ui.volumesTable.item(row, 1).text() for row in range(3)] == table
    assert ui.undoButton.isHidden()
    assert ui.volumesNote.isHidden()


def test_removal_from_whole_tumor_takes_from_the_inner_regions(module: host.LoadedModule, result: Any) -> None:
    before = result.regions()
    half = np.s_[before.shape[1] // 2 :]
    paint(result, "WT", half, 0)
    return_to_module(module, result)
    expected = before.copy()
    expected[:, half] = False
    np.testing.assert_array_equal(result.regions(), expected)
    assert set(result.report["edits"][0]["regions"]) == {
        name for name, old, new in zip(("WT", "TC", "ET"), before, expected, strict=True) if (old != new).any()
    }


def test_saved_files_say_that_they_were_corrected(
    module: host.LoadedModule, result: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import qt

    def save(button: Any, path: Path) -> sitk.Image:
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *question: str(path)))
        button.click()
        return sitk.ReadImage(path)

    ui = module.widget.ui
    uncorrected = save(ui.exportNiftiButton, tmp_path / "before.nii.gz")
    assert "edited" not in (uncorrected.GetMetaData("descrip") if uncorrected.HasMetaDataKey("descrip") else "")
    paint(result, "TC", CORNER)
    return_to_module(module, result)
    labels = save(ui.exportNiftiButton, tmp_path / "after.nii.gz")
    assert labels.GetMetaData("descrip").startswith("edited by hand 20")
    assert labels.GetMetaData("descrip").endswith(": WT TC")
    assert (sitk.GetArrayFromImage(labels)[CORNER] == 1).all()
    segments = save(ui.exportSegButton, tmp_path / "after.seg.nrrd")
    tags = {
        segments.GetMetaData(key.replace("_Tags", "_ID")): segments.GetMetaData(key)
        for key in segments.GetMetaDataKeys()
        if key.endswith("_Tags")
    }
    assert {name for name, text in tags.items() if "TokenUNet.Edited:20" in text} == {"WT", "TC"}


def test_edit_opens_the_segment_editor_on_this_result(
    module: host.LoadedModule, result: Any, editor: SimpleNamespace
) -> None:
    module.widget.ui.editButton.click()
    assert editor.asked == {
        "module": "SegmentEditor",
        "segmentation": result.segmentation,
        "source": result.reference,
        "segment": "WT",
    }
    assert editor.node.GetOverwriteMode() == editor.node.OverwriteNone
    return_to_module(module, result)
    assert editor.node.GetOverwriteMode() == editor.node.OverwriteAllSegments


def test_edit_ends_when_another_module_is_opened(
    module: host.LoadedModule, result: Any, editor: SimpleNamespace
) -> None:
    module.widget.ui.editButton.click()
    editor.selector.moduleSelected.emit("SegmentEditor")
    assert editor.node.GetOverwriteMode() == editor.node.OverwriteNone
    paint(result, "ET", CORNER)
    editor.selector.moduleSelected.emit("Data")
    wait_until(lambda: settled(module, result))
    assert editor.node.GetOverwriteMode() == editor.node.OverwriteAllSegments
    assert result.region("WT")[CORNER].all()


def test_edit_closed_midway_restores_the_overwrite_mode(
    module: host.LoadedModule, result: Any, editor: SimpleNamespace
) -> None:
    import slicer

    module.widget.ui.editButton.click()
    module.widget.ui.editButton.click()  # a second click must not take "none" for the user's choice
    slicer.mrmlScene.Clear(False)
    assert editor.node.GetOverwriteMode() == editor.node.OverwriteAllSegments


def test_nn_interactive_receives_the_region_and_its_result_is_taken_over(
    module: host.LoadedModule, result: Any, editor: SimpleNamespace
) -> None:
    ui = module.widget.ui
    assert ui.nnInteractiveButton.isHidden()
    editor.install_nn_interactive(SimpleNamespace(editor_widget=editor.widget))
    module.widget.onParametersChanged()
    assert not ui.nnInteractiveButton.isHidden()
    ui.segmentsTable.tableWidget().selectRow(2)
    ui.nnInteractiveButton.click()
    assert editor.asked == {
        "module": "SlicerNNInteractive",
        "segmentation": result.segmentation,
        "source": result.reference,
        "segment": "ET",
    }
    paint(result, "ET", CORNER)
    editor.selector.moduleSelected.emit("TokenUNetSegmentation")
    wait_until(lambda: settled(module, result))
    assert result.regions()[:, *CORNER].all()
    assert set(result.report["edits"][0]["regions"]) == {"WT", "TC", "ET"}
    editor.install_nn_interactive(SimpleNamespace())
    ui.nnInteractiveButton.click()
    assert "This version of SlicerNNInteractive cannot be given a segment." in ui.resultLabel.text


def test_corrections_are_noticed_after_loading_the_scene(
    module: host.LoadedModule, result: Any, tmp_path: Path, wait: Callable[..., None] = wait_until
) -> None:
    import slicer

    paint(result, "ET", CORNER)
    return_to_module(module, result)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(path, {"clear": True})
    wait(lambda: module.widget.result() is not None and settled(module, module.widget.result()))
    loaded = module.widget.result()
    assert len(loaded.report["edits"]) == 1
    assert "Corrected by hand on" in module.widget.ui.volumesNote.text
    paint(loaded, "WT", np.s_[:], 0)
    return_to_module(module, loaded)
    assert not loaded.regions().any()
    assert len(loaded.report["edits"]) == 2
    assert loaded.report["volumes_ml"]["WT"] == 0
