"""Volume nodes to files for the worker, and files to nodes."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient
from tokenunet.core.errors import OutputError, UnreadableImageError, UnusableImageError
from TokenUNetSegmentationLib.scene.volumes import export_volume, load_volume


def transform_node(matrix: np.ndarray) -> slicer.vtkMRMLLinearTransformNode:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def node_count() -> int:
    return slicer.mrmlScene.GetNumberOfNodes()


def test_export_keeps_voxels_and_oblique_axes_exactly(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    nodes_before = node_count()

    for sequence, node in nodes.items():
        export_volume(node, tmp_path / f"{sequence}.nrrd")

    assert node_count() == nodes_before
    for sequence, file in patient.inputs.items():
        original, exported = sitk.ReadImage(file), sitk.ReadImage(tmp_path / f"{sequence}.nrrd")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(exported), sitk.GetArrayFromImage(original))
        for what in ("GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(exported, what)(), getattr(original, what)(), atol=1e-6)


def test_export_leaves_the_nodes_file_alone(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    node = load_volume(patient.inputs["T1ce"], "T1ce")

    export_volume(node, tmp_path / "T1ce.nrrd")

    assert node.GetStorageNode().GetFileName() == str(patient.inputs["T1ce"])
    assert not node.GetModifiedSinceRead()


def test_a_rigid_transform_moves_the_exported_volume(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    node = load_volume(patient.inputs["T1ce"], "T1ce")
    turn = np.array([[0, -1, 0, 10], [1, 0, 0, -5], [0, 0, 1, 3], [0, 0, 0, 1.0]])
    node.SetAndObserveTransformNodeID(transform_node(turn).GetID())
    nodes_before = node_count()

    export_volume(node, tmp_path / "moved.nrrd")
    exported = sitk.ReadImage(tmp_path / "moved.nrrd")

    flip = np.diag([-1, -1, 1, 1])
    voxel = (5, 7, 9)
    at = np.array([*patient.scan.TransformIndexToPhysicalPoint(voxel), 1])
    moved = flip @ turn @ flip @ at
    np.testing.assert_allclose(exported.TransformIndexToPhysicalPoint(voxel), moved[:3], atol=1e-5)
    assert node.GetTransformNodeID()
    assert node_count() == nodes_before


def test_a_shearing_transform_is_refused(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    node = load_volume(patient.inputs["T1ce"], "post contrast")
    shear = np.eye(4)
    shear[0, 1] = 0.2
    node.SetAndObserveTransformNodeID(transform_node(shear).GetID())
    nodes_before = node_count()

    with pytest.raises(UnusableImageError, match="“post contrast” shears"):
        export_volume(node, tmp_path / "T1ce.nrrd")
    assert node_count() == nodes_before


def test_a_node_without_image_is_refused(host: OffscreenHost, tmp_path: Path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")

    with pytest.raises(UnusableImageError, match="“empty” holds no 3-D scalar image"):
        export_volume(node, tmp_path / "T1.nrrd")


def test_a_warping_transform_resamples_the_exported_volume_alone(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path
):
    node = load_volume(patient.inputs["T1ce"], "T1ce")
    shift = vtk.vtkThinPlateSplineTransform()
    landmarks = [vtk.vtkPoints(), vtk.vtkPoints()]
    for point in np.random.default_rng(0).uniform(-60, 60, (8, 3)):
        landmarks[0].InsertNextPoint(point)
        landmarks[1].InsertNextPoint(point + np.array([4, 0, 0]))
    shift.SetSourceLandmarks(landmarks[0])
    shift.SetTargetLandmarks(landmarks[1])
    shift.SetBasisToR()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(shift)
    node.SetAndObserveTransformNodeID(transform.GetID())
    before = slicer.util.arrayFromVolume(node).copy()

    export_volume(node, tmp_path / "moved.nrrd")
    exported = sitk.ReadImage(tmp_path / "moved.nrrd")

    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), before)
    brain = [sitk.BinaryThreshold(image, 100) for image in (sitk.ReadImage(patient.inputs["T1ce"]), exported)]
    centers = []
    for image in brain:
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(image)
        centers.append(shape.GetCentroid(1))
    np.testing.assert_allclose(np.subtract(centers[1], centers[0]), [-4, 0, 0], atol=0.2)  # LPS


def test_a_folder_that_cannot_be_is_an_output_error(
    host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path, expected_vtk_messages
):
    node = load_volume(patient.inputs["T1ce"], "T1ce")
    (tmp_path / "file").touch()

    with expected_vtk_messages(), pytest.raises(OutputError, match="“T1ce” cannot be written"):
        export_volume(node, tmp_path / "file" / "T1ce.nrrd")


@pytest.mark.parametrize("content", [None, b"", b"no image at all"])
def test_a_file_that_is_no_image_is_an_unreadable_image(
    host: OffscreenHost, tmp_path: Path, content: bytes | None, expected_vtk_messages
):
    path = tmp_path / "scan.nii.gz"
    if content is not None:
        path.write_bytes(content)
    nodes_before = node_count()

    with expected_vtk_messages(), pytest.raises(UnreadableImageError, match=r"scan\.nii\.gz"):
        load_volume(path, "T1")
    assert node_count() == nodes_before


def test_two_patients_volumes_may_have_one_name(host: OffscreenHost, patient: SyntheticPatient):
    first, second = (load_volume(patient.inputs["T1ce"], "T1ce") for _ in range(2))

    assert first.GetName() == second.GetName() == "T1ce"
    assert first.GetID() != second.GetID()
