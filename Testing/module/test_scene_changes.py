"""What the panel shows when the scene changes under it."""

from pathlib import Path
from typing import Any

import host
import pytest
import vtk
from host.messages import loading_a_scene
from module.driving import segment, wait_until


def test_closing_the_scene_leaves_the_grid(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    segment(module)
    module.widget.ui.gridButton.click()
    wait_until(lambda: app.layout_manager.layout != 2)
    slicer.mrmlScene.Clear(False)
    assert app.layout_manager.layout == 2
    assert not module.widget.ui.gridButton.checked
    assert not module.widget.runPanel._message


def test_loaded_scene_is_selected_while_the_module_is_open(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import slicer

    module.widget.parent.isEntered = True
    segment(module)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    with loading_a_scene():
        slicer.util.loadScene(str(tmp_path / "scene.mrb"), {"clear": True})
    assert module.widget.result() is not None
    assert module.widget.result().reference is not None
    assert module.widget.ui.segmentationSelector.currentNode() is module.widget.result().segmentation


def test_second_scene_on_top_is_selected(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, tmp_path: Path, app: Any
) -> None:
    import slicer

    segment(module)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
    app.processEvents()
    assert module.widget.result() is None
    with loading_a_scene():
        slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    assert module.widget.ui.segmentationSelector.currentNode() is module.widget.result().segmentation
    assert module.widget.inputsPanel.problems() == {}
    assert slicer.mrmlScene.IsNodePresent(node)


def test_undo_brings_the_selected_result_back(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    result = segment(module)
    scene = slicer.mrmlScene
    scene.SetUndoOn()
    result.segmentation.SetUndoEnabled(True)
    scene.SaveStateForUndo()
    scene.RemoveNode(result.segmentation)
    app.processEvents()
    assert module.widget.result() is None
    scene.Undo()
    scene.SetUndoOff()
    scene.ClearUndoStack()
    app.processEvents()
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")] == ["Anna_T1ce tumor"]
    assert module.widget.result() is not None
    module.widget.ui.fillBox.click()  # a display node of its own was made: that of before is gone
    assert not module.widget.result().segmentation.GetDisplayNode().GetVisibility2DFill()


def test_closing_the_scene_lets_go_of_exclusive_labels(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    """The application's table of segments speaks to the subject hierarchy, whose items go first."""
    import slicer

    segment(module)
    module.widget.ui.exclusiveBox.click()
    module.widget.ui.show3DBox.click()
    shown: list[Any] = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_removal(scene: Any, event: str, node: Any) -> None:
        if node.IsA("vtkMRMLSegmentationNode"):
            shown.append(module.widget.ui.segmentsTable.segmentationNode())

    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, on_removal)
    slicer.mrmlScene.Clear(False)
    slicer.mrmlScene.RemoveObserver(tag)
    assert shown == [None, None]


def test_second_run_hides_and_numbers(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    first = segment(module)
    second = segment(module)
    assert second.segmentation.GetName() == f"{first.segmentation.GetName()} 2"
    assert not first.segmentation.GetDisplayNode().GetVisibility()
    assert second.segmentation.GetDisplayNode().GetVisibility()


def test_three_d_is_centered_and_follows_exclusive_labels(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    result = segment(module)
    resets = app.layout_manager.three_d_resets
    module.widget.ui.show3DBox.click()
    wait_until(lambda: app.layout_manager.three_d_resets == resets + 1)
    module.widget.ui.exclusiveBox.click()
    labels = result.exclusive_labels
    assert not labels.GetSegmentation().ContainsRepresentation("Closed surface"), "not in the same call"
    wait_until(labels.GetDisplayNode().GetVisibility3D)
    segments = [labels.GetSegmentation().GetNthSegment(number) for number in range(3)]
    assert all(segment.GetRepresentation("Closed surface") is not None for segment in segments)
    assert labels.GetDisplayNode().GetOpacity2DFill() == result.segmentation.GetDisplayNode().GetOpacity2DFill()
