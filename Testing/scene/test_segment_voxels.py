"""Segments as arrays on the grid of a volume."""

import numpy as np
import pytest
import slicer
from scene.synthetic_output import SyntheticPatient
from slicer_offscreen import OffscreenHost
from TokenUNetSegmentationLib.scene.load_result import build_result
from TokenUNetSegmentationLib.scene.results import PatientResult
from TokenUNetSegmentationLib.scene.segment_voxels import segment_voxels
from TokenUNetSegmentationLib.scene.volumes import load_volume


def build(patient: SyntheticPatient) -> PatientResult:
    return build_result({name: load_volume(p, name) for name, p in patient.inputs.items()}, "T1ce", patient.output)


def shifted_by_voxels(voxels: int) -> slicer.vtkMRMLLinearTransformNode:
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[:3, 3] = voxels * 2.0, 0, 0
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    return transform


def test_a_segment_is_read_without_a_word_to_the_scene(host: OffscreenHost, patient: SyntheticPatient) -> None:
    result = build(patient)
    added: list[str] = []
    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, lambda *_: added.append("node"))
    for name, truth in zip(("WT", "TC", "ET"), patient.regions, strict=True):
        assert np.array_equal(segment_voxels(result.segmentation, name, result.reference), truth)
    slicer.mrmlScene.RemoveObserver(tag)
    assert added == []


def test_an_empty_segment_has_no_voxels(host: OffscreenHost, patient: SyntheticPatient) -> None:
    result = build(patient)
    result.segmentation.GetSegmentation().AddEmptySegment("nothing")
    voxels = segment_voxels(result.segmentation, "nothing", result.reference)
    assert voxels.shape == patient.regions[0].shape
    assert not voxels.any()


def test_a_segment_on_another_grid_is_resampled(host: OffscreenHost, patient: SyntheticPatient) -> None:
    result = build(patient)
    fine = result.reference
    coarse = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    coarse.CopyOrientation(fine)
    coarse.SetSpacing(*(2 * mm for mm in fine.GetSpacing()))
    slicer.util.updateVolumeFromArray(coarse, np.zeros([n // 2 for n in patient.regions[0].shape], np.float32))
    voxels = segment_voxels(result.segmentation, "WT", coarse)
    assert 8 * voxels.sum() == pytest.approx(patient.regions[0].sum(), rel=0.1)


def test_a_segment_that_was_moved_is_resampled(host: OffscreenHost, patient: SyntheticPatient) -> None:
    result = build(patient)
    result.segmentation.SetAndObserveTransformNodeID(shifted_by_voxels(3).GetID())
    truth = patient.regions[0]
    voxels = segment_voxels(result.segmentation, "WT", result.reference)
    assert voxels.sum() == pytest.approx(truth.sum(), rel=0.1)
    moved = np.argwhere(voxels).mean(axis=0) - np.argwhere(truth).mean(axis=0)
    assert np.linalg.norm(moved) > 2
