"""The buttons of the panel, and what they do to the scene and to the views."""

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
from module.conftest import MODULE
from module.driving import changed, difference, foreground, node_ids, press, segment, wait_until


def test_opens_and_says_what_it_lacks(module: host.LoadedModule) -> None:
    ui = module.widget.ui
    assert not ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == ui.estimateLabel.text == "Select the T1 volume."
    assert ui.estimateLabel.visible
    assert not ui.cancelButton.enabled
    assert ui.cancelButton.toolTip


def test_segment_brings_a_result_into_the_scene(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    before = app.layout_manager.pixels("Red")
    result = segment(module)
    ui = module.widget.ui
    assert ui.messageLabel.text.startswith("Done.")
    assert "slices of 6 mm" in ui.messageLabel.text
    assert result.reference is volumes["T1ce"]
    assert [ui.volumesTable.item(row, 0).text() for row in range(3)] == [
        "whole tumor",
        "tumor core",
        "enhancing tumor",
    ]
    assert float(ui.volumesTable.item(0, 1).text()) > 1
    assert len(result.overlays("token_learner")) == 8
    assert list(Path(app.temporaryPath).iterdir()) == []
    after = app.layout_manager.pixels("Red")
    assert (np.ptp(after.astype(int), axis=2) > 40).any(), "no colored outline in the slice view"
    assert not np.array_equal(before, after)


def test_cancel_midway_leaves_scene_and_disk_as_they_were(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    first = segment(module)
    nodes = node_ids()
    standin.setenv("STANDIN_PAUSE", "0.2")
    ui = module.widget.ui
    ui.segmentButton.click()
    module.widget.runPanel._run.expected_seconds = 600.0
    wait_until(lambda: "Preparing" in ui.progressBar.format)
    left = re.search(r", about (\d+) s left", ui.progressBar.format)
    assert left is not None
    assert int(left[1]) > 60, "that of the whole run; the worker says 2 s of the stage"
    assert ui.cancelButton.enabled
    assert not ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == "A segmentation is running."
    ui.cancelButton.click()
    wait_until(lambda: not module.widget.runPanel.running)
    assert "Cancelled" in ui.messageLabel.text
    assert node_ids() == nodes
    assert list(Path(app.temporaryPath).iterdir()) == []
    assert module.widget.result() == first


def test_cancel_while_loading_leaves_scene_and_log_as_they_were(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    """Half-loaded nodes are removed without removing any of them twice."""
    import slicer

    nodes = node_ids()
    ui = module.widget.ui
    ui.segmentButton.click()
    wait_until(lambda: bool(slicer.util.getNodesByClass("vtkMRMLTextNode")))
    ui.cancelButton.click()
    wait_until(lambda: not module.widget.runPanel.running)
    assert "Cancelled" in ui.messageLabel.text
    assert node_ids() == nodes


def test_key_and_button_toggle_a_map_over_the_slices(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    segment(module)
    ui = module.widget.ui
    without = app.layout_manager.pixels("Red")
    module.widget.overlaysPanel.button(3).click()
    assert foreground("Red").GetName() == "TokenLearner 3"
    shown = app.layout_manager.pixels("Red")
    assert changed(without, shown) > 0.02
    assert [module.widget.overlaysPanel.button(n).checked for n in range(1, 9)] == [n == 3 for n in range(1, 9)]
    ui.overlayOpacitySlider.value = 0.1
    fainter = app.layout_manager.pixels("Red")
    assert 0 < difference(without, fainter) < difference(without, shown)
    press(module, "5")
    assert foreground("Red").GetName() == "TokenLearner 5"
    press(module, "5")
    assert foreground("Red") is None
    assert changed(without, app.layout_manager.pixels("Red")) == 0


def test_threshold_hides_the_weak_part_of_a_map(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    segment(module)
    ui = module.widget.ui
    without = app.layout_manager.pixels("Red")
    for kind in (0, 1):
        ui.overlayGroupBox.setCurrentIndex(kind)
        module.widget._parameterNode.overlayNumber = 2
        ui.overlayThresholdSlider.value = 5
        much = changed(without, app.layout_manager.pixels("Red"))
        ui.overlayThresholdSlider.value = 70
        little = changed(without, app.layout_manager.pixels("Red"))
        assert 0 < little < 0.8 * much, ui.overlayGroupBox.currentText


def test_grid_shows_every_map_and_returns(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    segment(module)
    ui = module.widget.ui
    manager = app.layout_manager
    before = manager.layout
    ui.gridButton.click()
    wait_until(lambda: manager.layout != before)
    names = [f"TokenUNetOverlay{n}" for n in range(1, 9)]
    assert [foreground(name).GetName() for name in names] == [f"TokenLearner {n}" for n in range(1, 9)]
    pictures = [manager.pixels(name) for name in names]
    assert all(picture.max() > 100 for picture in pictures)
    assert all(changed(a, b) > 0.001 for a, b in pairwise(pictures))
    from TokenUNetSegmentationLib.scene.displays import tumor_center

    app.processEvents()  # views that are laid out only now would lose their offset
    center = tumor_center(module.widget.result())
    assert center is not None
    offsets = [manager.sliceWidget(name).mrmlSliceNode().GetSliceOffset() for name in names]
    assert offsets == pytest.approx([center[2]] * len(names), abs=0.01)
    ui.overlayGroupBox.setCurrentIndex(1)
    assert foreground(names[4]).GetName() == "TokenFuser 5"
    ui.gridButton.click()
    assert manager.layout == before


def test_colors_change_in_the_views(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    segment(module)
    ui = module.widget.ui
    module.widget.overlaysPanel.button(1).click()
    before = app.layout_manager.pixels("Red")
    rainbow = slicer.mrmlScene.GetNodeByID("vtkMRMLColorTableNodeRainbow")
    ui.overlayColorBox.setCurrentNode(rainbow)
    assert changed(before, app.layout_manager.pixels("Red")) > 0.01
    assert rainbow.GetLookupTable().GetTableValue(128)[3] == 1, "Slicer's own table was changed"
    ui.overlayColorBox.setCurrentNode(None)
    assert changed(before, app.layout_manager.pixels("Red")) == 0


def test_overlap_table_is_headed_as_a_description(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    segment(module)
    ui = module.widget.ui
    assert "not an explanation" in ui.overlapHeading.text
    wait_until(lambda: ui.overlapTable.rowCount == 8)
    values = [[float(ui.overlapTable.item(r, c).text()) for c in range(3)] for r in range(8)]
    assert all(0 <= v <= 1 for row in values for v in row)
    assert max(max(row) for row in values) > 0.2
    assert not module.widget.overlaysPanel.button(1).icon.isNull()


def test_closed_panel_no_longer_follows_the_scene(module: host.LoadedModule, app: Any) -> None:
    """As on a reload of the module: in the application its widgets are gone then."""
    another = host.load_module(MODULE)
    parameters, ui = another.widget.parameters(), another.widget.ui
    parameters.overlayOpacity = 0.7
    assert ui.overlayOpacitySlider.value == 0.7
    another.close()
    parameters.overlayOpacity = 0.2
    assert ui.overlayOpacitySlider.value == 0.7
    another.widget.onNodesSettled()


def test_coarse_voxels_take_less_and_ensembles_more(module: host.LoadedModule, volumes: dict[str, Any]) -> None:
    from TokenUNetSegmentationLib.logic.estimate import estimate, remember
    from TokenUNetSegmentationLib.logic.model_list import ListedModel
    from TokenUNetSegmentationLib.logic.options import Device, Mode

    def taken(model: ListedModel) -> tuple[float, float]:
        return estimate(volumes["T1ce"], model, Device.CPU, Mode.SINGLE_PASS)

    fine, coarse, five = ListedModel("fine"), ListedModel("coarse", 8.0), ListedModel("five", members=5)
    start_s, start_gb = taken(ListedModel("nothing", 1e9))
    for one, other, times in ((coarse, fine, 8), (fine, five, 5)):
        assert taken(other)[0] - start_s == pytest.approx(times * (taken(one)[0] - start_s))
    assert taken(fine)[1] - start_gb == pytest.approx(8 * (taken(coarse)[1] - start_gb))
    assert taken(five)[1] > taken(fine)[1]
    remember(volumes["T1ce"], five, Device.CPU, Mode.SINGLE_PASS, seconds=start_s + 10)
    assert taken(five)[0] == pytest.approx(start_s + 10)
    assert taken(fine)[0] == pytest.approx(start_s + 2)


def test_estimate_says_what_is_free(
    module: host.LoadedModule, volumes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    label = module.widget.ui.estimateLabel
    assert re.fullmatch(r"About \d+ s, \d\.\d GB of memory \(\d+\.\d GB free\)\.", label.text)
    monkeypatch.setitem(sys.modules, "psutil", None)  # as before the first installation
    module.widget.onParametersChanged()
    assert label.text.endswith("GB of memory.")
