"""The buttons of the panel, and what they do to the scene and to the views."""

from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
from module.driving import node_ids, segment, wait_until


def test_opens_and_says_what_it_lacks(module: host.LoadedModule) -> None:
    ui = module.widget.ui
    assert not ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == "Select the T1 volume."
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
        "whole tumour",
        "tumour core",
        "enhancing tumour",
    ]
    assert float(ui.volumesTable.item(0, 1).text()) > 1
    assert len(result.masks(module.python.MaskKind.TOKEN_LEARNER)) == 8
    assert list(Path(app.temporaryPath).iterdir()) == []
    after = app.layout_manager.pixels("Red")
    assert (np.ptp(after.astype(int), axis=2) > 40).any(), "no coloured outline in the slice view"
    assert not np.array_equal(before, after)


def test_cancel_midway_leaves_scene_and_disk_as_they_were(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    first = segment(module)
    nodes = node_ids()
    standin.setenv("STANDIN_PAUSE", "0.2")
    ui = module.widget.ui
    ui.segmentButton.click()
    wait_until(lambda: "Preparing" in ui.progressBar.format)
    assert ui.cancelButton.enabled
    assert not ui.segmentButton.enabled
    assert ui.segmentButton.toolTip == "A segmentation is running."
    ui.cancelButton.click()
    wait_until(lambda: not module.widget.runPanel.running)
    assert "Cancelled" in ui.messageLabel.text
    assert node_ids() == nodes
    assert list(Path(app.temporaryPath).iterdir()) == []
    assert module.widget.result() == first
