"""The section "Review": what is expected of a result, and the buttons that decide about candidates."""

import json
import shutil
from pathlib import Path
from typing import Any

import host
import numpy as np
import pytest
import SimpleITK as sitk
from host.messages import loading_a_scene
from module.driving import changed, node_ids, segment, wait_until

LESION, CENTER = 6, (10, 20, 14)
"""Radius of a missed lesion, and its middle (k, j, i) in the patient's scan, in voxels."""


@pytest.fixture
def output(patient: Any, tmp_path: Path) -> Path:
    """Output folder of a run that lists one candidate."""
    output = tmp_path / "output"
    shutil.copytree(patient.output, output)
    lesion = missed(patient.regions.shape[1:])
    assert not (lesion & patient.regions[0]).any()
    image = sitk.GetImageFromArray(lesion.astype(np.uint8))
    image.CopyInformation(patient.scan)
    sitk.WriteImage(image, output / "review_candidates.nii.gz")
    candidate = {
        "number": 1,
        "probability": 0.83,
        "volume_ml": float(lesion.sum() * np.prod(patient.scan.GetSpacing()) / 1000),
        "center_lps_mm": patient.scan.TransformIndexToPhysicalPoint(CENTER[::-1]),
        "sources": ["probe", "image"],
        "token": 3,
        "token_share": 1.2,
    }
    report = {
        **patient.report,
        "review_candidates": [candidate],
        "expected_dice": {"WT": {"value": 0.88, "low": 0.74, "high": 0.95}},
        "volumes_interval_ml": {"WT": [30.0, 41.0]},
        "review_calibrated_on": "60 synthetic patients",
    }
    (output / "run.json").write_text(json.dumps(report))
    return output


@pytest.fixture
def result(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch, output: Path, app: Any
) -> Any:
    standin.setenv("STANDIN_RESULT", str(output))
    return segment(module)


def missed(shape: tuple[int, ...]) -> Any:
    return sum((a - c) ** 2 for a, c in zip(np.indices(shape), CENTER, strict=True)) < LESION**2


def table(module: host.LoadedModule) -> list[list[str]]:
    widget = module.widget.ui.reviewTable
    return [[widget.item(r, c).text() for c in range(5)] for r in range(widget.rowCount)]


def whole_tumor_ml(module: host.LoadedModule) -> float:
    wait_until(lambda: not module.widget.resultPanel._updating.running)
    return float(module.widget.ui.volumesTable.item(0, 1).text())


def test_says_that_a_patient_must_be_segmented_first(module: host.LoadedModule) -> None:
    ui = module.widget.ui
    assert ui.reviewHeading.text == "Segment a patient first."
    assert not ui.reviewAcceptButton.enabled


def test_candidate_and_expected_dice_are_shown_and_a_click_goes_there(
    module: host.LoadedModule, result: Any, app: Any
) -> None:
    ui = module.widget.ui
    assert "whole tumor: expected Dice 0.88 (0.74 to 0.95), 30.0 to 41.0 ml" in ui.reviewHeading.text
    assert "60 synthetic patients" in ui.reviewHeading.text
    [row] = table(module)
    assert float(row[1]) == pytest.approx(result.report["review_candidates"][0]["volume_ml"], abs=0.05)
    assert row[2:] == ["likely, 83 %", "encoder, image", "open"]
    elsewhere = app.layout_manager.pixels("Red")
    ui.reviewTable.selectRow(0)
    assert "Of the tokens, 3 adds most to that." in ui.reviewLabel.text
    offset = app.layout_manager.sliceWidget("Red").mrmlSliceNode().GetSliceOffset()
    assert offset == pytest.approx(result.report["review_candidates"][0]["center_lps_mm"][2], abs=0.1)
    there = app.layout_manager.pixels("Red")
    assert changed(elsewhere, there) > 0.01
    result.review_candidates.GetDisplayNode().SetVisibility(False)
    assert 0 < changed(there, app.layout_manager.pixels("Red")) < 0.1, "no outline of the candidate"


def test_accepted_candidate_counts_in_the_volume_until_it_is_undone(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.ui
    before, regions = whole_tumor_ml(module), result.regions()
    lesion_ml = result.report["review_candidates"][0]["volume_ml"]
    ui.reviewTable.selectRow(0)
    ui.reviewAcceptButton.click()
    assert np.array_equal(result.region("WT"), regions[0] | missed(regions[0].shape))
    assert np.array_equal(result.regions()[1:], regions[1:])
    assert whole_tumor_ml(module) == pytest.approx(before + lesion_ml, abs=0.11)
    assert table(module)[0][4] == "accepted"
    assert not ui.reviewDismissButton.enabled
    assert ui.reviewAcceptButton.text == "Undo"
    ui.reviewAcceptButton.click()
    assert np.array_equal(result.regions(), regions)
    assert whole_tumor_ml(module) == before
    assert table(module)[0][4] == "open"


def test_dismissed_candidate_stays_in_the_list_without_its_outline(module: host.LoadedModule, result: Any) -> None:
    ui = module.widget.ui
    ui.reviewTable.selectRow(0)
    ui.reviewDismissButton.click()
    display = result.review_candidates.GetDisplayNode()
    assert table(module)[0][4] == "dismissed"
    assert not display.GetSegmentVisibility("ReviewHint1")
    assert ui.reviewDismissButton.text == "Restore"
    ui.reviewDismissButton.click()
    assert table(module)[0][4] == "open"
    assert display.GetSegmentVisibility("ReviewHint1")


@pytest.mark.parametrize("button", ["reviewAcceptButton", "reviewDismissButton"])
def test_decisions_survive_saving_the_scene(
    module: host.LoadedModule, result: Any, tmp_path: Path, button: str
) -> None:
    import slicer

    module.widget.ui.reviewTable.selectRow(0)
    getattr(module.widget.ui, button).click()
    wait_until(lambda: not module.widget.resultPanel._updating.running)
    before = table(module)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    with loading_a_scene():
        slicer.util.loadScene(str(tmp_path / "scene.mrb"), {"clear": True})
    slicer.app.processEvents()
    assert before[0][4] != "open"
    assert table(module) == before


def test_result_of_a_model_without_a_probe_says_so(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    segment(module)
    assert "its model has no probe" in module.widget.ui.reviewLabel.text
    assert "is not known" in module.widget.ui.reviewHeading.text
    assert not module.widget.ui.reviewTable.visible


def test_deleted_whole_tumor_is_named_in_the_message(module: host.LoadedModule, result: Any) -> None:
    result.segmentation.GetSegmentation().RemoveSegment("WT")
    module.widget.ui.reviewTable.selectRow(0)
    module.widget.ui.reviewAcceptButton.click()
    assert "The segment WT" in module.widget.ui.reviewLabel.text
    assert table(module)[0][4] == "open"


def test_candidates_are_removed_with_the_result(module: host.LoadedModule, result: Any) -> None:
    from TokenUNetSegmentationLib.scene.results import remove_result

    identifier = result.review_candidates.GetID()
    remove_result(result)
    assert identifier not in node_ids()
