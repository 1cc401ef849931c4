"""What is removed, incomplete or stopped leaves the scene as it was."""

import shutil
from pathlib import Path

import pytest
import slicer
from checked_result import build, check_result, item_names, scene_state
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient
from tokenunet.core.errors import UnreadableImageError
from TokenUNetSegmentationLib.scene.load_result import build_result, build_steps
from TokenUNetSegmentationLib.scene.nodes import remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.results import remove_result
from TokenUNetSegmentationLib.scene.volumes import load_volume


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
    (tmp_path / "output" / "overlays" / "token_fuser" / "token_fuser_5.nii.gz").write_bytes(b"damaged")
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()

    with expected_vtk_messages(), pytest.raises(UnreadableImageError, match="token_fuser_5"):
        build_result(nodes, "T1ce", tmp_path / "output")
    assert scene_state() == before


def test_stopping_halfway_leaves_the_scene_as_it_was(host: OffscreenHost, patient: SyntheticPatient):
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    before = scene_state()
    steps = build_steps(nodes, "T1ce", patient.output)
    result = next(step for step in steps if step is not None and len(step.overlays("token_learner")) == 4)
    assert list(result.segmentation.GetSegmentation().GetSegmentIDs()) == ["WT", "TC", "ET"]
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
