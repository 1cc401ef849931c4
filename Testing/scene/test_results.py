"""A patient's result in the scene: every node, its colours, codes, references and place."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from synthetic_output import NUMBER_OF_MASKS, SyntheticPatient, write_patient
from test_segmentation_file import ijk_to_ras
from tokenunet.errors import UnreadableImageError
from tokenunet.regions import REGIONS
from tokenunet.terminology import LABEL_STYLES, REGION_STYLES
from tokenunet_offscreen import OffscreenHost
from TokenUNetSegmentationLib.displays import head_box, tumour_centre
from TokenUNetSegmentationLib.exporting import run_report_text
from TokenUNetSegmentationLib.masks import MaskKind, mask_number, range_text, set_threshold
from TokenUNetSegmentationLib.results import (
    PatientResult,
    all_results,
    child_items,
    remove_node,
    remove_result,
    result_of,
    subject_hierarchy,
)
from TokenUNetSegmentationLib.scene import build_result, build_steps, show_exclusive_labels, update_volume_table
from TokenUNetSegmentationLib.volumes import load_volume


def build(patient: SyntheticPatient, name: str = "") -> PatientResult:
    nodes = {sequence: load_volume(path, f"{name}{sequence}") for sequence, path in patient.inputs.items()}
    return build_result(nodes, "T1ce", patient.output)


def item_names(item: int) -> set[str]:
    return {subject_hierarchy().GetItemName(child) for child in child_items(item)}


def check_result(result: PatientResult, patient: SyntheticPatient) -> None:
    """All that must be true of a result, fresh or loaded again."""
    segmentation = result.segmentation.GetSegmentation()
    assert segmentation.GetSegmentIDs() == REGIONS
    for name, style in REGION_STYLES.items():
        segment = segmentation.GetSegment(name)
        assert segment.GetName() == style.title
        assert segment.GetColor() == pytest.approx(style.colour, abs=1e-5)
        assert segment.GetTerminology() == style.terminology_entry
    np.testing.assert_array_equal(result.regions(), patient.regions)
    assert set(result.inputs) == set(patient.inputs)
    assert result.reference is result.inputs["T1ce"]
    geometry = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert result.segmentation.GetNodeReference(geometry) is result.reference
    for kind in MaskKind:
        check_masks(result, patient, kind)
    table = result.volume_table.GetTable()
    assert [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())] == ["Region", "Volume"]
    assert result.volume_table.GetColumnUnitLabel("Volume") == "ml"
    styles = REGION_STYLES | LABEL_STYLES
    volumes = {table.GetValue(i, 0).ToString(): table.GetValue(i, 1).ToDouble() for i in range(table.GetNumberOfRows())}
    expected = {styles[name].title: ml for name, ml in patient.report["volumes_ml"].items()}
    assert volumes == pytest.approx(expected, abs=1e-3)
    assert result.report == patient.report
    assert item_names(result.folder_item) >= {
        result.segmentation.GetName(),
        result.volume_table.GetName(),
        result.report_node.GetName(),
        "TokenLearner masks",
        "TokenFuser masks",
    }


def check_masks(result: PatientResult, patient: SyntheticPatient, kind: MaskKind) -> None:
    masks = result.masks(kind)
    assert list(masks) == list(range(1, NUMBER_OF_MASKS + 1))
    assert len({mask.GetDisplayNode().GetColorNodeID() for mask in masks.values()}) == 1
    folders = {
        subject_hierarchy().GetItemParent(subject_hierarchy().GetItemByDataNode(mask)) for mask in masks.values()
    }
    assert [subject_hierarchy().GetItemName(folder) for folder in folders] == [f"{kind.network_part} masks"]
    assert subject_hierarchy().GetItemParent(folders.pop()) == result.folder_item
    for number, mask in masks.items():
        stem = f"{kind.value}_{number}"
        assert mask.GetName() == f"{kind.network_part} {number}"
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(mask), patient.masks[stem])
        file = sitk.ReadImage(patient.output / "masks" / f"{stem}.nii.gz")
        matrix = vtk.vtkMatrix4x4()
        mask.GetIJKToRASMatrix(matrix)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), ijk_to_ras(file), atol=1e-5)
        display = mask.GetDisplayNode()
        assert display.GetInterpolate()
        assert not display.GetAutoWindowLevel()
        colours = display.GetColorNode()
        assert colours.GetNumberOfColors() == 256
        if kind is MaskKind.TOKEN_LEARNER:
            assert display.GetWindowLevelMin() == pytest.approx(1, abs=1e-3)
            assert display.GetApplyThreshold()
            assert 1 <= display.GetLowerThreshold() < display.GetWindowLevelMax()
        else:
            assert display.GetWindowLevelMin() == pytest.approx(-display.GetWindowLevelMax())
            assert opacity(colours, 127) == 0
            assert opacity(colours, 0) == opacity(colours, 255) == 1


def rgba(colours: slicer.vtkMRMLColorTableNode, entry: int) -> list[float]:
    value = [0.0] * 4
    assert colours.GetColor(entry, value)
    return value


def opacity(colours: slicer.vtkMRMLColorTableNode, entry: int) -> float:
    return rgba(colours, entry)[3]


def test_a_result_has_every_node_in_its_place(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)

    check_result(result, patient)
    assert result.segmentation.GetName() == "T1ce tumour"


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
    colours = {kind: result.masks(kind)[1].GetDisplayNode().GetColorNode() for kind in MaskKind}
    tables = {kind: [rgba(node, i) for i in range(256)] for kind, node in colours.items()}
    thresholds = [mask.GetDisplayNode().GetLowerThreshold() for mask in result.masks(MaskKind.TOKEN_LEARNER).values()]
    host.save(tmp_path / "scene.mrb")
    host.close()

    with OffscreenHost() as fresh:
        fresh.load(tmp_path / "scene.mrb")

        [loaded] = all_results()
        check_result(loaded, patient)
        assert loaded.exclusive_labels.GetSegmentation().GetSegmentIDs() == tuple(LABEL_STYLES)
        for kind in MaskKind:
            node = loaded.masks(kind)[1].GetDisplayNode().GetColorNode()
            np.testing.assert_allclose([rgba(node, i) for i in range(256)], tables[kind], atol=1 / 255)
        loaded_masks = loaded.masks(MaskKind.TOKEN_LEARNER).values()
        assert [mask.GetDisplayNode().GetLowerThreshold() for mask in loaded_masks] == pytest.approx(
            thresholds, rel=1e-4
        )


def test_two_patients_of_the_same_names_do_not_mix(
    host: OffscreenHost, patient: SyntheticPatient, other_patient: SyntheticPatient, tmp_path: Path
):
    first, second = build(patient), build(other_patient)

    assert {node.GetID() for node in first.nodes()}.isdisjoint(node.GetID() for node in second.nodes())
    assert result_of(first.reference) == first
    assert result_of(second.reference) == second
    assert result_of(second.masks(MaskKind.TOKEN_FUSER)[3]) == second
    host.save(tmp_path / "two.mrb")
    host.load(tmp_path / "two.mrb")
    first, second = all_results()
    check_result(first, patient)
    check_result(second, other_patient)


def test_the_newest_result_of_a_volume_is_found_first(host: OffscreenHost, patient: SyntheticPatient):
    first = build(patient)
    second = build_result(first.inputs, "T1ce", patient.output)

    assert result_of(first.reference) == second
    assert result_of(first.segmentation) == first


def test_an_unrelated_volume_has_no_result(host: OffscreenHost, patient: SyntheticPatient):
    build(patient)

    assert result_of(load_volume(patient.inputs["T1"], "T1")) is None


def test_removing_a_result_leaves_inputs_and_other_patients(
    host: OffscreenHost, patient: SyntheticPatient, other_patient: SyntheticPatient
):
    kept = build(other_patient)
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()

    remove_result(build_result(nodes, "T1ce", patient.output))

    assert scene_state() == before
    check_result(kept, other_patient)


@pytest.mark.parametrize("missing", ["segmentation.seg.nrrd", "run.json"])
def test_an_incomplete_output_folder_leaves_the_scene_as_it_was(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path, missing: str
):
    shutil.copytree(patient.output, tmp_path / "output")
    (tmp_path / "output" / missing).unlink()
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()

    with pytest.raises(UnreadableImageError, match=missing):
        build_result(nodes, "T1ce", tmp_path / "output")
    assert scene_state() == before


def test_a_damaged_mask_leaves_the_scene_as_it_was(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path, expected_vtk_messages
):
    shutil.copytree(patient.output, tmp_path / "output")
    (tmp_path / "output" / "masks" / "token_fuser_5.nii.gz").write_bytes(b"damaged")
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()

    with expected_vtk_messages(), pytest.raises(UnreadableImageError, match="token_fuser_5"):
        build_result(nodes, "T1ce", tmp_path / "output")
    assert scene_state() == before


def test_stopping_halfway_leaves_the_scene_as_it_was(host: OffscreenHost, patient: SyntheticPatient):
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()
    steps = build_steps(nodes, "T1ce", patient.output)
    for _step in range(5):
        result = next(steps)
    assert len(result.masks(MaskKind.TOKEN_LEARNER)) == 4
    loaded_meanwhile = load_volume(patient.inputs["T1"], "another")

    steps.close()

    assert slicer.mrmlScene.IsNodePresent(loaded_meanwhile)
    remove_node(loaded_meanwhile)
    assert scene_state() == before


def test_a_folder_with_something_of_the_users_stays(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    folder = result.folder_item
    note = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "my note")
    subject_hierarchy().CreateItem(folder, note)

    remove_result(result)

    assert item_names(folder) == {"my note"}


def scene_state() -> tuple[set[str], set[int]]:
    """IDs of nodes and of subject hierarchy items."""
    items = child_items(subject_hierarchy().GetSceneItemID(), recursive=True)
    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}, set(items)


def test_an_ensembles_result_has_a_map_of_disagreement_and_ranges_of_volumes(host: OffscreenHost, tmp_path: Path):
    patient = write_patient(tmp_path / "patient", ensemble=True)
    result = build(patient)
    host.save(tmp_path / "scene.mrb")
    shutil.rmtree(patient.output)

    check_ensemble(result, patient)
    update_volume_table(result)
    check_ensemble(result, patient)

    host.close()
    with OffscreenHost() as fresh:
        fresh.load(tmp_path / "scene.mrb")
        [loaded] = all_results()
        check_ensemble(loaded, patient)
        nodes_before = {node.GetID() for node in loaded.nodes()}
        assert loaded.disagreement.GetID() in nodes_before
        remove_result(loaded)
        assert not any(slicer.mrmlScene.GetNodeByID(node) for node in nodes_before)


def check_ensemble(result: PatientResult, patient: SyntheticPatient) -> None:
    volume = result.disagreement
    assert volume.GetName() == "T1ce disagreement of folds"
    assert volume.GetName() in item_names(result.folder_item)
    values = slicer.util.arrayFromVolume(volume)
    assert values.shape == patient.regions[0].shape
    assert set(np.unique(values)) == {0, 0.25}
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), ijk_to_ras(patient.scan), atol=1e-4)
    display = volume.GetDisplayNode()
    assert display.GetColorNode().GetName() == "Iron"
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0, 0.5))
    assert display.GetApplyThreshold()
    assert 0 < display.GetLowerThreshold() < 0.25
    for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert volume.GetID() not in (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID())
    table = result.volume_table.GetTable()
    columns = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert columns == ["Region", "Volume", "Smallest over folds", "Largest over folds"]
    assert all(result.volume_table.GetColumnUnitLabel(column) == "ml" for column in columns[1:])
    ranges = {table.GetValue(i, 0).ToString(): [table.GetValue(i, c).ToDouble() for c in (2, 3)] for i in range(5)}
    styles = REGION_STYLES | LABEL_STYLES
    assert ranges == {styles[name].title: ends for name, ends in patient.report["volumes_range_ml"].items()}
    assert "Ensemble of 5 networks" in run_report_text(result)


def test_an_ensembles_result_without_its_map_leaves_the_scene_as_it_was(
    host: OffscreenHost, tmp_path: Path, expected_vtk_messages
):
    patient = write_patient(tmp_path / "patient", ensemble=True)
    (patient.output / "disagreement.nii.gz").unlink()
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()

    with pytest.raises(UnreadableImageError, match=r"disagreement\.nii\.gz"):
        build_result(nodes, "T1ce", patient.output)

    assert scene_state() == before


def test_one_networks_result_has_no_map_of_disagreement(host: OffscreenHost, patient: SyntheticPatient):
    assert build(patient).disagreement is None


def test_a_run_without_masks_has_none(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    shutil.copytree(patient.output, tmp_path / "output", ignore=shutil.ignore_patterns("masks"))
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}

    result = build_result(nodes, "T1ce", tmp_path / "output")

    assert result.masks(MaskKind.TOKEN_LEARNER) == {}
    assert "TokenLearner masks" not in item_names(result.folder_item)


def test_a_patient_without_tumour_has_empty_segments_and_no_centre(host: OffscreenHost, tmp_path: Path):
    result = build(write_patient(tmp_path / "healthy", tumour=False))

    assert not result.regions().any()
    assert tumour_centre(result) is None
    assert result.volume_table.GetTable().GetValue(0, 1).ToDouble() == 0


def test_deleted_parts_are_simply_missing(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    for node in (result.masks(MaskKind.TOKEN_LEARNER)[3], result.report_node, result.inputs["T2"]):
        slicer.mrmlScene.RemoveNode(node)

    assert list(result.masks(MaskKind.TOKEN_LEARNER)) == [1, 2, 4, 5, 6, 7, 8]
    assert mask_number(result.masks(MaskKind.TOKEN_LEARNER)[4]) == 4
    assert result.report == {}
    assert set(result.inputs) == {"T1", "T1ce", "FLAIR"}


def test_a_deleted_segment_is_empty_and_a_deleted_reference_is_told(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    result.segmentation.GetSegmentation().RemoveSegment("ET")
    assert [region.any() for region in result.regions()] == [True, True, False]

    slicer.mrmlScene.RemoveNode(result.reference)
    with pytest.raises(LookupError, match="T1ce tumour"):
        result.regions()


def test_volumes_follow_the_users_corrections(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    corrected = patient.regions[0].copy()
    corrected[:20] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        corrected.astype(np.uint8), result.segmentation, "WT", result.reference
    )

    table = update_volume_table(result)

    ml = float(np.prod(result.reference.GetSpacing())) / 1000
    assert table is result.volume_table
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
        assert segment.GetColor() == pytest.approx(style.colour)
        parts.append(slicer.util.arrayFromSegmentBinaryLabelmap(labels, name, result.reference))
    np.testing.assert_array_equal(np.sum(parts, axis=0), patient.regions[0])
    show_exclusive_labels(result, False)
    assert not labels.GetDisplayNode().GetVisibility()
    assert result.segmentation.GetDisplayNode().GetVisibility()


def test_a_threshold_hides_what_lies_below_it(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    learner, fuser = (result.masks(kind)[2] for kind in MaskKind)

    set_threshold(learner, 0.5)
    set_threshold(fuser, 0.5)

    display = learner.GetDisplayNode()
    assert display.GetLowerThreshold() == pytest.approx((1 + display.GetWindowLevelMax()) / 2)
    colours = fuser.GetDisplayNode().GetColorNode()
    assert [opacity(colours, entry) for entry in (0, 60, 70, 128, 190, 200)] == [1, 1, 0, 0, 0, 1]


def test_a_masks_range_is_told_in_words(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)

    assert range_text(result.masks(MaskKind.TOKEN_LEARNER)[1]).startswith("1 to ")
    assert range_text(result.masks(MaskKind.TOKEN_FUSER)[1]).startswith("weights -")


def test_the_tumours_centre_lies_in_the_tumour_under_a_transform_too(host: OffscreenHost, patient: SyntheticPatient):
    result = build(patient)
    centre = np.array(tumour_centre(result))
    index = patient.scan.TransformPhysicalPointToIndex((centre * [-1, -1, 1]).tolist())
    assert patient.regions[0][tuple(reversed(index))]

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[:3, 3] = 10, 20, 30
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    for node in (result.reference, result.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_allclose(tumour_centre(result), centre + np.array([10, 20, 30]))


def test_the_heads_box_holds_the_head_and_little_else(host: OffscreenHost, patient: SyntheticPatient):
    box = head_box(load_volume(patient.inputs["T1"], "T1"))

    size = np.multiply(patient.scan.GetSize(), patient.scan.GetSpacing())
    assert np.all(box[1] - box[0] > 0.75 * size)
    assert np.all(box[1] - box[0] < 1.15 * size)


def test_the_report_is_kept_letter_by_letter(host: OffscreenHost, patient: SyntheticPatient):
    text = build(patient).report_node.GetText()

    assert text == (patient.output / "run.json").read_text(encoding="utf-8")
    assert json.loads(text)["warnings"][0]["message"] == "Ödem «µ» µl"
