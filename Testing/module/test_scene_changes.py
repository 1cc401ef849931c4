"""What the panel shows when the scene changes under it."""

from pathlib import Path
from typing import Any

import host
import pytest
from module.driving import foreground, segment


def test_grid_shows_sixteen_maps(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any, tmp_path: Path
) -> None:
    from scene.synthetic_output import write_patient

    standin.setenv("STANDIN_RESULT", str(write_patient(tmp_path / "sixteen", tokens=16).output))
    segment(module)
    panel, ui = module.widget.masksPanel, module.widget.ui
    assert all(panel.button(number).visible for number in range(1, 17))
    ui.gridButton.click()
    assert [foreground(f"TokenUNetMask{n}").GetName() for n in (1, 9, 16)] == [f"TokenLearner {n}" for n in (1, 9, 16)]
    app.processEvents()
    offsets = {app.layout_manager.sliceWidget(f"TokenUNetMask{n}").mrmlSliceNode().GetSliceOffset() for n in (1, 16)}
    assert 0 not in offsets
    ui.gridButton.click()
    assert app.layout_manager.layout == 2


def test_closing_the_scene_leaves_the_grid(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    segment(module)
    module.widget.ui.gridButton.click()
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
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {"clear": True})
    assert module.widget.result() is not None
    assert module.widget.result().reference is not None
    assert module.widget.ui.segmentationSelector.currentNode() is module.widget.result().segmentation


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
    assert app.layout_manager.three_d_resets == resets + 1
    module.widget.ui.exclusiveBox.click()
    labels = result.exclusive_labels
    assert labels.GetSegmentation().ContainsRepresentation("Closed surface")
    assert labels.GetDisplayNode().GetVisibility3D()
    assert labels.GetDisplayNode().GetOpacity2DFill() == result.segmentation.GetDisplayNode().GetOpacity2DFill()
