"""Section "Compare results": two results of one patient, their table, the overlay of differences, side by side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
from module.driving import foreground, segment, wait_until


@pytest.fixture
def two_results(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, patient: Any, tmp_path: Path
) -> Iterator[tuple[Any, Any]]:
    """Two results of one patient; the second, which is selected, lacks the tumor's part on one side."""
    import json
    import shutil

    from tokenunet.io.seg_nrrd import write_segmentation

    first = segment(module)
    other = Path(shutil.copytree(patient.output, tmp_path / "other"))
    regions = patient.regions.copy()
    regions[:, :, :, : regions.shape[3] // 2] = False
    write_segmentation(regions, patient.scan, other / "segmentation.seg.nrrd")
    report = json.loads((other / "run.json").read_text())
    report["model"] = {"name": "Another model"}
    (other / "run.json").write_text(json.dumps(report))
    standin.setenv("STANDIN_RESULT", str(other))
    second = segment(module)
    yield first, second


def compare(module: host.LoadedModule) -> None:
    module.widget.ui.compareButton.click()
    wait_until(lambda: not module.widget.comparisonPanel._comparing.running)


def test_compare_displays_dice_volumes_and_the_places_that_differ(
    module: host.LoadedModule, two_results: tuple[Any, Any], patient: Any
) -> None:
    import slicer
    from tokenunet.core.dice import dice

    first, second = two_results
    ui = module.widget.ui
    ui.comparisonSection.collapsed = False
    assert module.widget.result() == second
    assert ui.comparisonBox.currentText == first.segmentation.GetName()
    compare(module)
    table = ui.comparisonTable
    assert [table.item(row, 0).text() for row in range(3)] == ["whole tumor", "tumor core", "enhancing tumor"]
    voxel_ml = float(np.prod(patient.scan.GetSpacing())) / 1000
    for row, name in enumerate(("WT", "TC", "ET")):
        a, b = second.region(name), first.region(name)
        assert 0 < a.sum() < b.sum()
        assert table.item(row, 1).text() == f"{dice(a, b):.3f}"
        assert float(table.item(row, 2).text()) == pytest.approx(a.sum() * voxel_ml, abs=0.06)
        assert float(table.item(row, 3).text()) == pytest.approx(b.sum() * voxel_ml, abs=0.06)
    assert "A: " in ui.comparisonLabel.text
    assert "Another model" in ui.comparisonLabel.text
    (overlay,) = second.overlays("difference").values()
    assert foreground("Red") is overlay
    expected = second.regions().sum(axis=0).astype(float) - first.regions().sum(axis=0)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(overlay), expected)
    assert ui.overlayGroupBox.currentText == "Difference"
    assert not ui.fillBox.checked
    compare(module)  # again: it replaces the overlay and its colors
    assert len(second.overlays("difference")) == 1
    assert len([c for c in second.color_tables if c.GetName() == "Difference colors"]) == 1
    module.widget._parameterNode.segmentation = first.segmentation
    assert not table.visible
    assert "Another model" in ui.comparisonBox.currentText


def test_side_by_side_displays_one_result_in_each_view(
    module: host.LoadedModule, two_results: tuple[Any, Any], app: Any
) -> None:
    import slicer

    first, second = two_results
    ui, manager = module.widget.ui, slicer.app.layoutManager()
    before = manager.layout
    ui.sideBySideButton.click()
    views = [manager.sliceWidget(f"TokenUNetOverlay{number}").sliceLogic().GetSliceNode() for number in (1, 2)]
    for view, shown, hidden in ((views[0], second, first), (views[1], first, second)):
        assert shown.segmentation.GetDisplayNode().IsDisplayableInView(view.GetID())
        assert not hidden.segmentation.GetDisplayNode().IsDisplayableInView(view.GetID())
    assert first.segmentation.GetDisplayNode().GetVisibility()
    assert views[0].GetSliceOffset() == pytest.approx(views[1].GetSliceOffset())
    left, right = (manager.pixels(f"TokenUNetOverlay{number}") for number in (1, 2))
    assert (np.abs(left.astype(int) - right).max(axis=2) > 8).any()
    ui.sideBySideButton.click()
    assert manager.layout == before
    assert not first.segmentation.GetDisplayNode().GetVisibility()
    assert second.segmentation.GetDisplayNode().GetNumberOfViewNodeIDs() == 0
    ui.sideBySideButton.click()
    ui.gridButton.click()
    assert not ui.sideBySideButton.checked
    ui.gridButton.click()
    assert manager.layout == before


def test_a_single_result_has_nothing_to_be_compared_with(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    ui = module.widget.ui
    assert not ui.compareButton.enabled
    segment(module)
    assert not ui.compareButton.enabled
    assert "Segment the same patient again" in ui.compareButton.toolTip
