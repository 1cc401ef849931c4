"""The segmentation file as Slicer's own reader sees it."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient
from tokenunet.core.errors import OutputError
from tokenunet.core.regions import REGIONS
from tokenunet.core.terminology import REGION_STYLES
from tokenunet.io.seg_nrrd import write_segmentation
from TokenUNetSegmentationLib.scene.load_result import build_steps
from TokenUNetSegmentationLib.scene.segment_voxels import segment_voxels
from TokenUNetSegmentationLib.scene.volumes import load_volume
from vtkmodules.util.numpy_support import vtk_to_numpy


def ijk_to_ras(image: sitk.Image) -> np.ndarray:
    """SimpleITK's geometry as Slicer's matrix."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ matrix


def read_with_slicer(path: Path) -> slicer.vtkMRMLSegmentationNode:
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(node)
    assert storage.GetUserMessages().GetNumberOfMessages() == 0
    return node


def voxels_on_grid(labelmap: slicer.vtkOrientedImageData, shape: tuple[int, ...]) -> np.ndarray:
    """A labelmap that covers part of a grid, on the whole of it."""
    i, last_i, j, last_j, k, last_k = labelmap.GetExtent()
    voxels = np.zeros(shape, bool)
    part = voxels[k : last_k + 1, j : last_j + 1, i : last_i + 1]
    part[:] = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(part.shape)
    return voxels


def test_slicer_reads_three_overlapping_segments_voxel_for_voxel(host: OffscreenHost, patient: SyntheticPatient):
    segmentation = read_with_slicer(patient.output / "segmentation.seg.nrrd").GetSegmentation()

    assert segmentation.GetSegmentIDs() == REGIONS
    assert segmentation.GetNumberOfLayers() == len(REGIONS)
    for name, region in zip(REGIONS, patient.regions, strict=True):
        labelmap = segmentation.GetSegment(name).GetRepresentation("Binary labelmap")
        np.testing.assert_array_equal(voxels_on_grid(labelmap, region.shape), region)
        matrix = vtk.vtkMatrix4x4()
        labelmap.GetImageToWorldMatrix(matrix)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), ijk_to_ras(patient.scan), atol=1e-9)


def test_slicer_reads_names_colors_and_codes(host: OffscreenHost, patient: SyntheticPatient):
    segmentation = read_with_slicer(patient.output / "segmentation.seg.nrrd").GetSegmentation()

    for name, style in REGION_STYLES.items():
        segment = segmentation.GetSegment(name)
        assert segment.GetName() == style.title
        assert segment.GetColor() == pytest.approx(style.color, abs=1e-5)
        assert segment.GetTerminology() == style.terminology_entry


def test_slicer_takes_the_reference_geometry_from_the_file(host: OffscreenHost, patient: SyntheticPatient):
    segmentation = read_with_slicer(patient.output / "segmentation.seg.nrrd").GetSegmentation()

    image = slicer.vtkOrientedImageData()
    geometry = segmentation.GetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    )
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, image, False)
    assert image.GetDimensions() == patient.scan.GetSize()
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), ijk_to_ras(patient.scan), atol=1e-9)


def test_what_slicer_writes_back_is_the_same(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    node = read_with_slicer(patient.output / "segmentation.seg.nrrd")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "again.seg.nrrd"))
    assert storage.WriteData(node)

    ours, slicers = (sitk.ReadImage(p) for p in (patient.output / "segmentation.seg.nrrd", tmp_path / "again.seg.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(slicers), sitk.GetArrayFromImage(ours))
    for key in ("Segment2_ID", "Segment2_Name", "Segment2_Layer", "Segment2_LabelValue", "Segment2_Tags"):
        assert slicers.GetMetaData(key) == ours.GetMetaData(key)


def test_an_empty_tumor_is_three_empty_segments(host: OffscreenHost, patient: SyntheticPatient, tmp_path: Path):
    write_segmentation(np.zeros_like(patient.regions), patient.scan, tmp_path / "none.seg.nrrd")

    segmentation = read_with_slicer(tmp_path / "none.seg.nrrd").GetSegmentation()

    assert segmentation.GetSegmentIDs() == REGIONS


def test_a_folder_that_is_not_there_is_an_output_error(patient: SyntheticPatient, tmp_path: Path):
    with pytest.raises(OutputError, match=r"nowhere.*cannot be written"):
        write_segmentation(patient.regions, patient.scan, tmp_path / "nowhere" / "x.seg.nrrd")


def test_regions_come_one_by_one_and_as_slicer_reads_them(host: OffscreenHost, patient: SyntheticPatient):
    nodes = {sequence: load_volume(path, sequence) for sequence, path in patient.inputs.items()}
    counts = []
    for step in build_steps(nodes, "T1ce", patient.output):
        counts.append(0 if step is None else step.segmentation.GetSegmentation().GetNumberOfSegments())
        result = step
    assert {0, 1, 2, 3} <= set(counts)
    expected = read_with_slicer(patient.output / "segmentation.seg.nrrd")
    for name in REGIONS:
        ours, theirs = (node.GetSegmentation().GetSegment(name) for node in (result.segmentation, expected))
        assert ours.GetName() == theirs.GetName()
        assert ours.GetColor() == pytest.approx(theirs.GetColor(), abs=1e-5)
        assert ours.GetTerminology() == theirs.GetTerminology()
        voxels = [segment_voxels(node, name, nodes["T1ce"]) for node in (result.segmentation, expected)]
        assert voxels[0].any()
        assert np.array_equal(*voxels)
