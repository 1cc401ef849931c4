"""What the panel does when nodes it needs are removed, moved or changed in other modules."""

from typing import Any

import host
import numpy as np
import pytest
import vtk
from module.driving import foreground, segment, wait_until


def test_removed_displays_and_colors_come_back(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    """Not that of a segmentation, without which Slicer's own views crash; `test_undo_brings...` has that."""
    import slicer

    result, ui = segment(module), module.widget.ui
    overlay = result.overlays("token_learner")[3]
    for node in (overlay.GetDisplayNode(), *result.color_tables):
        slicer.mrmlScene.RemoveNode(node)
    app.processEvents()
    for button in (ui.fillBox, ui.show3DBox, module.widget.overlaysPanel.button(3), ui.jumpButton):
        button.click()
    wait_until(lambda: not module.widget.resultPanel._surfaces.running)
    module.widget.enter()
    wait_until(lambda: ui.overlapTable.rowCount == 8)
    assert result.segmentation.GetDisplayNode().GetVisibility3D()
    assert foreground("Red") is overlay
    assert (ui.resultLabel.text, ui.overlaysLabel.text) == ("", "")
    ui.overlayGroupBox.setCurrentIndex(1)
    ui.overlayThresholdSlider.value = 40
    gray = slicer.mrmlScene.GetNodeByID("vtkMRMLColorTableNodeGrey").GetLookupTable()
    assert [gray.GetTableValue(value)[3] for value in (0, 128, 255)] == [1, 1, 1], "Slicer's own table was changed"


def test_removed_overlays_leave_the_grid_and_3d(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    result, ui = segment(module), module.widget.ui
    ui.gridButton.click()
    wait_until(lambda: app.layout_manager.layout != 2)
    slicer.mrmlScene.RemoveNode(result.segmentation)
    app.processEvents()
    assert app.layout_manager.layout == 2
    assert (ui.gridButton.checked, ui.gridButton.enabled) == (False, False)


def test_removed_labels_show_the_regions_again(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    result, ui = segment(module), module.widget.ui
    ui.exclusiveBox.click()
    slicer.mrmlScene.RemoveNode(result.exclusive_labels)
    app.processEvents()
    assert result.segmentation.GetDisplayNode().GetVisibility()
    assert not ui.exclusiveBox.checked
    result.report_node.SetText("{edited by hand")
    module.widget.onParametersChanged()
    assert result.report == {}


def test_moved_reference_is_said_and_corrects_nothing(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    """A registration moves the scan; the segments stay, and must not be cut to its new place."""
    import slicer

    result, ui = segment(module), module.widget.ui
    whole = result.region("WT")
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 30)
    shift.SetMatrixTransformToParent(matrix)
    result.reference.SetAndObserveTransformNodeID(shift.GetID())
    module.widget.enter()
    wait_until(lambda: not module.widget.resultPanel._updating.running)
    assert "“Anna_T1ce” was moved or resampled since it was segmented" in ui.resultLabel.text
    assert "edits" not in result.report
    result.segmentation.SetAndObserveTransformNodeID(shift.GetID())
    assert np.array_equal(result.region("WT"), whole), "both under the same transform"
    result.reference.HardenTransform()
    result.segmentation.HardenTransform()
    assert np.array_equal(result.region("WT"), whole), "both hardened"
    slicer.util.updateVolumeFromArray(result.reference, slicer.util.arrayFromVolume(result.reference)[2:].copy())
    module.widget.enter()
    wait_until(lambda: not module.widget.resultPanel._updating.running)
    assert "was moved or resampled" in ui.resultLabel.text, "cropped"


@pytest.mark.parametrize(("moved", "said"), [(True, "was moved or resampled"), (False, "its former voxels")])
def test_input_changed_during_a_run_is_said(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, moved: bool, said: str
) -> None:
    import slicer

    standin.setenv("STANDIN_PAUSE", "0.03")
    module.widget.ui.segmentButton.click()
    wait_until(lambda: "Segmenting" in module.widget.ui.progressBar.format)
    if moved:
        volumes["T1ce"].SetSpacing(1, 1, 1)
    else:
        slicer.util.arrayFromVolume(volumes["T1ce"])[:] = 7  # another frame of a sequence, say
        slicer.util.arrayFromVolumeModified(volumes["T1ce"])
    wait_until(lambda: not module.widget.runPanel.running)
    assert said in module.widget.ui.messageLabel.text
    assert (module.widget.result() is None) == moved
