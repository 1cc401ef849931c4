"""The buttons of "Review candidates", and what they do to the scene and to the views."""

from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
from host.messages import loading_a_scene
from module.driving import changed, node_ids, segment, wait_until

LESION, CENTER = 6, (10, 20, 14)
"""Radius of a missed lesion, and its middle (k, j, i) in the patient's scan, in voxels."""


@pytest.fixture
def result(module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, app: Any) -> Any:
    """A segmented patient in whom TokenFuser 2 is high in the tumor and in a lesion that is not segmented."""
    import slicer

    result = segment(module)
    whole = result.region("WT")
    assert not (whole & missed(whole.shape)).any()
    high = whole | missed(whole.shape)
    random = np.random.default_rng(0)
    for kind in ("token_learner", "token_fuser"):
        for number, mask in result.overlays(kind).items():
            values = slicer.util.arrayFromVolume(mask)
            values[:] = random.normal(1, 0.1, values.shape)
            if kind == "token_fuser" and number == 2:
                values += blocks(high, values.shape)
            slicer.util.arrayFromVolumeModified(mask)
    return result


def missed(shape: tuple[int, ...]) -> Any:
    return sum((a - c) ** 2 for a, c in zip(np.indices(shape), CENTER, strict=True)) < LESION**2


def blocks(region: Any, shape: tuple[int, ...]) -> Any:
    """Means over the scan's voxels in each of the mask's, four along each side."""
    return region.reshape(shape[0], 4, shape[1], 4, shape[2], 4).mean(axis=(1, 3, 5))


def look(module: host.LoadedModule) -> list[Any]:
    from TokenUNetSegmentationLib.scene.review import listed_candidates

    module.widget.ui.reviewButton.click()
    wait_until(lambda: not module.widget.reviewPanel._looking.running)
    return listed_candidates(module.widget.result())


def table(module: host.LoadedModule) -> list[list[str]]:
    widget = module.widget.ui.reviewTable
    return [[widget.item(r, c).text() for c in range(5)] for r in range(widget.rowCount)]


def position(result: Any, voxel: tuple[int, int, int]) -> Any:
    from TokenUNetSegmentationLib.scene.displays import voxel_position

    return np.array(voxel_position(result.reference, voxel[::-1]))


def test_says_why_it_cannot_look(module: host.LoadedModule) -> None:
    ui = module.widget.ui
    assert "not a diagnosis" in ui.reviewHeading.text
    assert not ui.reviewButton.enabled
    assert ui.reviewButton.toolTip == "Segment a patient first."
    assert not ui.reviewAcceptButton.enabled


def test_missed_lesion_is_listed_and_a_click_shows_it(module: host.LoadedModule, result: Any, app: Any) -> None:
    ui = module.widget.ui
    [candidate] = look(module)
    [row] = table(module)
    truth_ml = missed(result.region("WT").shape).sum() * np.prod(result.reference.GetSpacing()) / 1000
    assert row[0] == "1"
    assert float(row[1]) == pytest.approx(truth_ml, rel=0.35)
    assert row[2].endswith("× tumor")  # noqa: RUF001
    assert float(row[2].partition("×")[0]) > 0.7  # noqa: RUF001
    assert row[3:] == ["F2", "open"]
    assert "TokenFuser 2" in ui.reviewLabel.text
    assert np.linalg.norm(candidate.center - position(result, CENTER)) < 6
    elsewhere = app.layout_manager.pixels("Red")
    ui.reviewTable.selectRow(0)
    offset = app.layout_manager.sliceWidget("Red").mrmlSliceNode().GetSliceOffset()
    assert offset == pytest.approx(candidate.center[2], abs=0.1)
    there = app.layout_manager.pixels("Red")
    assert changed(elsewhere, there) > 0.01
    result.review_candidates.GetDisplayNode().SetVisibility(False)
    assert 0 < changed(there, app.layout_manager.pixels("Red")) < 0.1, "no outline of the candidate"


def test_accepted_candidate_is_a_segment_on_the_references_grid(module: host.LoadedModule, result: Any) -> None:
    from TokenUNetSegmentationLib.scene.results import segment_voxels

    ui = module.widget.ui
    regions = result.regions()
    geometry = result.segmentation.GetSegmentation().GetConversionParameter("Reference image geometry")
    look(module)
    ui.reviewTable.selectRow(0)
    ui.reviewAcceptButton.click()
    segments = result.segmentation.GetSegmentation()
    assert segments.GetNumberOfSegments() == 4
    identifier = segments.GetNthSegmentID(3)
    assert segments.GetSegment(identifier).GetName() == "review candidate 1"
    voxels = segment_voxels(result.segmentation, identifier, result.reference)
    truth = missed(voxels.shape)
    assert 2 * (voxels & truth).sum() / (voxels.sum() + truth.sum()) > 0.7
    assert np.array_equal(result.regions(), regions)
    assert segments.GetConversionParameter("Reference image geometry") == geometry
    assert table(module)[0][4] == "segment"
    assert not ui.reviewAcceptButton.enabled
    assert "delete the segment" in ui.reviewAcceptButton.toolTip
    assert look(module) == [], "what was accepted is segmented now"

    segments.RemoveSegment(identifier)
    [again] = look(module)
    assert again.state == "open"


def test_deleting_the_segment_takes_the_acceptance_back(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.ui
    look(module)
    ui.reviewTable.selectRow(0)
    ui.reviewAcceptButton.click()
    segments = result.segmentation.GetSegmentation()
    segments.RemoveSegment(segments.GetNthSegmentID(3))
    module.widget.enter()
    assert table(module)[0][4] == "open"
    assert ui.reviewAcceptButton.enabled


def test_dismissed_candidate_stays_in_the_list_without_its_outline(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.ui
    [candidate] = look(module)
    ui.reviewTable.selectRow(0)
    ui.reviewDismissButton.click()
    display = result.review_candidates.GetDisplayNode()
    assert table(module)[0][4] == "dismissed"
    assert not display.GetSegmentVisibility(candidate.identifier)
    assert ui.reviewDismissButton.text == "Restore"
    ui.reviewDismissButton.click()
    assert table(module)[0][4] == "open"
    assert display.GetSegmentVisibility(candidate.identifier)


@pytest.mark.parametrize("button", ["reviewAcceptButton", "reviewDismissButton"])
def test_decisions_survive_saving_the_scene(
    module: host.LoadedModule, result: Any, tmp_path: Path, button: str
) -> None:
    import slicer

    look(module)
    module.widget.ui.reviewTable.selectRow(0)
    getattr(module.widget.ui, button).click()
    before = table(module)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    with loading_a_scene():
        slicer.util.loadScene(str(tmp_path / "scene.mrb"), {"clear": True})
    slicer.app.processEvents()
    assert before[0][4] != "open"
    assert table(module) == before


def test_nothing_to_review_is_said_with_its_limits(module: host.LoadedModule, result: Any) -> None:
    import slicer

    for mask in result.overlays("token_fuser").values():
        values = slicer.util.arrayFromVolume(mask)
        values[:] = blocks(result.region("WT"), values.shape)
        slicer.util.arrayFromVolumeModified(mask)
    assert look(module) == []
    assert "Small lesions can still be missed" in module.widget.ui.reviewLabel.text
    assert not module.widget.ui.reviewTable.visible


def test_without_maps_the_button_says_so(module: host.LoadedModule, result: Any) -> None:
    import slicer

    for kind in ("token_learner", "token_fuser"):
        for mask in result.overlays(kind).values():
            slicer.mrmlScene.RemoveNode(mask)
    module.widget.onParametersChanged()
    assert not module.widget.ui.reviewButton.enabled
    assert "without attention maps" in module.widget.ui.reviewButton.toolTip


def test_incomplete_maps_are_refused(module: host.LoadedModule, result: Any) -> None:
    """The number of a map says which one it is: the others must not take its place."""
    import slicer

    slicer.mrmlScene.RemoveNode(result.overlays("token_fuser")[1])
    assert look(module) == []
    assert "Not all attention maps" in module.widget.ui.reviewLabel.text


def test_looking_leaves_no_other_nodes_and_goes_with_the_result(module: host.LoadedModule, result: Any) -> None:
    from TokenUNetSegmentationLib.scene.results import remove_result

    before = node_ids()
    look(module)
    look(module)
    new = node_ids() - before
    classes = sorted(node.rstrip("0123456789") for node in new)
    assert classes == ["vtkMRMLSegmentationDisplayNode", "vtkMRMLSegmentationNode"]
    remove_result(result)
    assert not new & node_ids()
