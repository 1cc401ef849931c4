"""From the command line through the scene to the panel: a model of sixteen tokens, and an overlay of one file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import host
import pytest
from model_fixtures import SMALL_MANIFEST, small_bundle
from module.driving import changed, difference, foreground, segment, wait_until

PLUGIN = """
from tokenunet import register_overlays
from tokenunet.core.overlays import Overlay


@register_overlays("enhancement", title="Enhancement", description="T1ce minus T1 & more.")
def enhancement(prediction, prepared):
    yield Overlay(
        name="enhancement", title="Enhancement", group="enhancement", unit="standard deviations",
        range=(0, 3), colormap="heat", array=(prepared.tensor[1] - prepared.tensor[0]).numpy(), grid=prepared.grid,
    )
"""


@pytest.fixture
def output(patient: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Result of a model of sixteen tokens, with one more overlay from a file in a temporary folder."""
    from tokenunet.cli import main
    from tokenunet.core.plugins import Plugins
    from tokenunet.inference import overlays

    overlays.overlay_groups()
    monkeypatch.setattr(overlays, "_registered", dict(overlays._registered))
    monkeypatch.setattr(overlays, "_plugins", Plugins("overlays"))
    monkeypatch.setenv("TOKENUNET_OVERLAYS", str(tmp_path / "plugins"))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "enhancement.py").write_text(PLUGIN)
    arguments = SMALL_MANIFEST.arguments | {"tokens": 16}
    model = small_bundle(tmp_path / "model", replace(SMALL_MANIFEST, arguments=arguments, spacing=(4.0, 4.0, 4.0)))
    inputs = [text for name, path in patient.inputs.items() for text in (f"--{name.lower()}", str(path))]
    folder = tmp_path / "sixteen"
    assert main(["segment", *inputs, "--model", str(model), "--output", str(folder), "--attention-maps"]) == 0
    return folder


def test_overlays_of_any_number_and_of_one_file_reach_page_scene_and_panel(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any, output: Path
) -> None:
    from slicer_offscreen.demo_scene import _number_of_pictures
    from tokenunet.io.segmentation_page import segmentation_report
    from TokenUNetSegmentationLib.scene.export import run_report_text
    from TokenUNetSegmentationLib.scene.nodes import child_items, subject_hierarchy

    standin.setenv("STANDIN_RESULT", str(output))
    result = segment(module)
    page = segmentation_report(result.report, [], "patient")
    for words in ("TokenLearner maps", "Enhancement</h2>", "T1ce minus T1 &amp; more."):
        assert words in page
    assert "TokenLearner maps (16), TokenFuser maps (16), Enhancement (1)" in run_report_text(result)
    assert _number_of_pictures(result) == 3 + 33 + 1
    folders = [subject_hierarchy().GetItemName(item) for item in child_items(result.folder_item)]
    assert {"TokenLearner maps", "TokenFuser maps", "Enhancement"} <= set(folders)

    panel, ui, manager = module.widget.overlaysPanel, module.widget.ui, app.layout_manager
    boxes = ui.overlayGroupBox
    assert [boxes.itemText(i) for i in range(boxes.count)] == ["TokenLearner maps", "TokenFuser maps", "Enhancement"]
    assert [panel.button(n).visible for n in range(1, 17)] == [True] * 16
    wait_until(lambda: not panel.button(16).icon.isNull())
    ui.gridButton.click()
    wait_until(lambda: manager.layout != 2)
    names = [f"TokenUNetOverlay{n}" for n in range(1, 17)]
    assert [foreground(name).GetName() for name in names] == [f"TokenLearner {n}" for n in range(1, 17)]
    app.processEvents()
    assert 0 not in {manager.sliceWidget(name).mrmlSliceNode().GetSliceOffset() for name in names}
    ui.gridButton.click()
    assert manager.layout == 2

    boxes.setCurrentIndex(2)
    assert [panel.button(n).visible for n in range(1, 17)] == [True] + [False] * 15
    panel.button(1).click()
    assert foreground("Red").GetName() == "Enhancement"
    assert ui.overlayRangeLabel.text == "Enhancement: 0 to 3 standard deviations"
    wait_until(lambda: ui.overlapTable.rowCount == 1)


def test_legend_of_the_chosen_overlay_is_displayed(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any
) -> None:
    import slicer

    def legends() -> dict[str, tuple[str, bool]]:
        nodes = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
        return {n.GetDisplayableNode().GetName(): (n.GetTitleText(), bool(n.GetVisibility())) for n in nodes}

    segment(module)
    panel, ui = module.widget.overlaysPanel, module.widget.ui
    assert legends() == {}
    panel.button(3).click()
    assert legends() == {"TokenLearner 3": ("times uniform", True)}
    with_legend = app.layout_manager.pixels("Red")
    panel.button(5).click()
    assert legends() == {"TokenLearner 3": ("times uniform", False), "TokenLearner 5": ("times uniform", True)}
    ui.gridButton.click()
    wait_until(lambda: app.layout_manager.layout != 2)
    assert not any(visible for _title, visible in legends().values()), "the views are too small"
    ui.gridButton.click()
    panel.button(3).click()
    [legend] = [n for n in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode") if n.GetVisibility()]
    assert difference(app.layout_manager.pixels("Red"), with_legend) == 0
    legend.SetVisibility(False)
    assert changed(app.layout_manager.pixels("Red"), with_legend) > 0.005
    panel.button(3).click()
    assert not any(visible for _title, visible in legends().values())
    panel.button(3).click()
    slicer.mrmlScene.Clear(False)  # says nothing about color tables that go first


def test_views_of_the_grid_are_created_one_by_one(module: host.LoadedModule, app: Any) -> None:
    from TokenUNetSegmentationLib.scene.overlay_views import create_view_steps, enter_grid, has_views, leave_grid

    manager = app.layout_manager
    manager.forget_views()
    before = len(manager.sliceViewNames())
    assert [len(manager.sliceViewNames()) - before for _step in create_view_steps(3)] == [1, 2, 3]
    assert has_views(3)
    assert not has_views(4)
    nodes = [manager.sliceWidget(f"TokenUNetOverlay{number}").mrmlSliceNode() for number in (1, 2, 3)]
    assert [(n.GetOrientation(), n.GetLayoutLabel(), n.IsMappedInLayout()) for n in nodes] == [
        ("Axial", str(number), 0) for number in (1, 2, 3)
    ]
    layout = enter_grid(3)
    assert len(manager.sliceViewNames()) == before + 3, "the layout displays the same views"
    assert all(node.IsMappedInLayout() for node in nodes)
    leave_grid(layout)
    assert not any(node.IsMappedInLayout() for node in nodes)
