"""A patient's result in the scene: every node, its colors, codes, references and place."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
from checked_result import build, check_result, item_names, opacity, rgba
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient, write_patient
from tokenunet.core.terminology import LABEL_STYLES
from TokenUNetSegmentationLib.scene.displays import head_box, tumor_center
from TokenUNetSegmentationLib.scene.load_result import build_result, show_exclusive_labels, volume_table_steps
from TokenUNetSegmentationLib.scene.nodes import subject_hierarchy
from TokenUNetSegmentationLib.scene.overlays import overlay_number, range_text, set_threshold
from TokenUNetSegmentationLib.scene.results import MissingNodeError, all_results
from TokenUNetSegmentationLib.scene.volumes import load_volume

GROUPS = ("token_learner", "token_fuser")


def test_a_result_has_every_node_in_its_place(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)

    check_result(result, patient)
    assert result.segmentation.GetName() == "T1ce tumor"


def test_the_scene_does_not_need_the_output_folder_any_more(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path
):
    shutil.copytree(patient.output, tmp_path / "output")
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    result = build_result(nodes, "T1ce", tmp_path / "output")

    shutil.rmtree(tmp_path / "output")
    host.save(tmp_path / "scene.mrb")
    host.load(tmp_path / "scene.mrb")

    [result] = all_results()
    check_result(result, patient)


def test_the_patients_folder_lies_beside_the_reference(host: OffscreenHost, patient: SyntheticPatient):
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    study = subject_hierarchy().CreateFolderItem(subject_hierarchy().GetSceneItemID(), "Study of May")
    for node in nodes.values():
        subject_hierarchy().CreateItem(study, node)

    result = build_result(nodes, "T1ce", patient.output)

    assert subject_hierarchy().GetItemParent(result.folder_item) == study


def test_a_saved_scene_loads_into_a_fresh_host_with_everything_intact(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path
):
    result = build(patient)
    show_exclusive_labels(result, True)
    colors = {kind: result.overlays(kind)[1].GetDisplayNode().GetColorNode() for kind in GROUPS}
    tables = {kind: [rgba(node, i) for i in range(256)] for kind, node in colors.items()}
    thresholds = [mask.GetDisplayNode().GetLowerThreshold() for mask in result.overlays("token_learner").values()]
    host.save(tmp_path / "scene.mrb")
    host.close()

    with OffscreenHost() as fresh:
        fresh.load(tmp_path / "scene.mrb")

        [loaded] = all_results()
        check_result(loaded, patient)
        assert loaded.exclusive_labels.GetSegmentation().GetSegmentIDs() == tuple(LABEL_STYLES)
        for kind in GROUPS:
            node = loaded.overlays(kind)[1].GetDisplayNode().GetColorNode()
            np.testing.assert_allclose([rgba(node, i) for i in range(256)], tables[kind], atol=1 / 255)
        loaded_masks = loaded.overlays("token_learner").values()
        assert [mask.GetDisplayNode().GetLowerThreshold() for mask in loaded_masks] == pytest.approx(
            thresholds, rel=1e-4
        )


def test_two_patients_of_the_same_names_do_not_mix(
    host: OffscreenHost, patient: SyntheticPatient, other_patient: SyntheticPatient, tmp_path: Path
):
    first, second = build(patient), build(other_patient)

    assert {node.GetID() for node in first.nodes()}.isdisjoint(node.GetID() for node in second.nodes())
    host.save(tmp_path / "two.mrb")
    host.load(tmp_path / "two.mrb")
    first, second = all_results()
    check_result(first, patient)
    check_result(second, other_patient)


def test_a_run_whose_report_lists_no_overlays_has_none(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    shutil.copytree(patient.output, tmp_path / "output")
    (tmp_path / "output" / "run.json").write_text(json.dumps(patient.report | {"overlays": []}))
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}

    result = build_result(nodes, "T1ce", tmp_path / "output")

    assert result.overlays("token_learner") == {}
    assert "TokenLearner maps" not in item_names(result.folder_item)


def test_a_patient_without_tumor_has_empty_segments_and_no_center(host: OffscreenHost, tmp_path: Path):
    result = build(write_patient(tmp_path / "healthy", tumor=False))

    assert not result.regions().any()
    assert tumor_center(result) is None
    assert result.volume_table.GetTable().GetValue(0, 1).ToDouble() == 0


def test_deleted_parts_are_simply_missing(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    for node in (result.overlays("token_learner")[3], result.report_node, result.inputs["T2"]):
        slicer.mrmlScene.RemoveNode(node)

    assert list(result.overlays("token_learner")) == [1, 2, 4, 5, 6, 7, 8]
    assert overlay_number(result.overlays("token_learner")[4]) == 4
    assert result.report == {}
    assert set(result.inputs) == {"T1", "T1ce", "FLAIR"}


def test_a_deleted_segment_is_empty_and_a_deleted_reference_is_told(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    result.segmentation.GetSegmentation().RemoveSegment("ET")
    assert [region.any() for region in result.regions()] == [True, True, False]

    slicer.mrmlScene.RemoveNode(result.reference)
    with pytest.raises(MissingNodeError, match="T1ce tumor"):
        result.regions()


def test_volumes_follow_the_users_corrections(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    corrected = patient.regions[0].copy()
    corrected[:20] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        corrected.astype(np.uint8), result.segmentation, "WT", result.reference
    )

    list(volume_table_steps(result))
    table = result.volume_table

    ml = float(np.prod(result.reference.GetSpacing())) / 1000
    assert table.GetTable().GetValue(0, 1).ToDouble() == pytest.approx(corrected.sum() * ml, abs=1e-3)


def test_exclusive_labels_take_the_place_of_the_regions_and_go_again(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)

    labels = show_exclusive_labels(result, True)

    assert labels.GetDisplayNode().GetVisibility()
    assert not result.segmentation.GetDisplayNode().GetVisibility()
    parts = []
    for name, style in LABEL_STYLES.items():
        segment = labels.GetSegmentation().GetSegment(name)
        assert (segment.GetName(), segment.GetTerminology()) == (style.title, style.terminology_entry)
        assert segment.GetColor() == pytest.approx(style.color)
        parts.append(slicer.util.arrayFromSegmentBinaryLabelmap(labels, name, result.reference))
    np.testing.assert_array_equal(np.sum(parts, axis=0), patient.regions[0])
    show_exclusive_labels(result, False)
    assert not labels.GetDisplayNode().GetVisibility()
    assert result.segmentation.GetDisplayNode().GetVisibility()


def test_a_threshold_hides_what_lies_below_it(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    learner, fuser = (result.overlays(kind)[2] for kind in GROUPS)

    set_threshold([learner], 0.5)
    set_threshold([fuser], 0.5)

    display = learner.GetDisplayNode()
    assert display.GetLowerThreshold() == pytest.approx((1 + display.GetWindowLevelMax()) / 2)
    colors = fuser.GetDisplayNode().GetColorNode()
    assert [opacity(colors, entry) for entry in (0, 60, 70, 128, 190, 200)] == [1, 1, 0, 0, 0, 1]


def test_a_masks_range_is_told_in_words(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)

    assert range_text(result.overlays("token_learner")[1]).startswith("1 to ")
    assert range_text(result.overlays("token_fuser")[1]).startswith("-")


def test_the_tumors_center_lies_in_the_tumor_under_a_transform_too(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    center = np.array(tumor_center(result))
    index = patient.scan.TransformPhysicalPointToIndex((center * [-1, -1, 1]).tolist())
    assert patient.regions[0][tuple(reversed(index))]

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[:3, 3] = 10, 20, 30
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    for node in (result.reference, result.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_allclose(tumor_center(result), center + np.array([10, 20, 30]))


def test_the_heads_box_holds_the_head_and_little_else(host: OffscreenHost, patient: SyntheticPatient):
    box = head_box(load_volume(patient.inputs["T1"], "T1"))

    size = np.multiply(patient.scan.GetSize(), patient.scan.GetSpacing())
    assert np.all(box[1] - box[0] > 0.75 * size)
    assert np.all(box[1] - box[0] < 1.15 * size)


def test_the_report_is_kept_letter_by_letter(host: OffscreenHost, patient: SyntheticPatient):
    text = build(patient).report_node.GetText()

    assert text == (patient.output / "run.json").read_text(encoding="utf-8")
    assert json.loads(text)["warnings"][0]["message"] == "Ödem «µ» µl"
