"""Alignments of raw scans in the scene: real transform files, nodes and slice positions."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from checked_result import build
from slicer_offscreen import OffscreenHost
from synthetic_output import SyntheticPatient
from tokenunet.core.errors import UnreadableImageError
from TokenUNetSegmentationLib.scene.alignment import show_aligned, shows_aligned
from TokenUNetSegmentationLib.scene.results import PatientResult, remove_result

POINT_LPS = (10.0, -20.0, 30.0)


@pytest.fixture
def motion() -> sitk.Euler3DTransform:
    """From the reference's space to FLAIR's."""
    return sitk.Euler3DTransform((5.0, 6.0, 7.0), 0.1, -0.2, math.pi / 9, (8.0, -3.0, 2.0))


@pytest.fixture
def result(patient: SyntheticPatient, motion: sitk.Transform, tmp_path: Path, host: OffscreenHost) -> PatientResult:
    """Of a study whose FLAIR was aligned."""
    output = shutil.copytree(patient.output, tmp_path / "aligned")
    (output / "transforms").mkdir()
    sitk.WriteTransform(motion, output / "transforms" / "FLAIR.tfm")
    report = {**patient.report, "alignments": {"FLAIR": {"shift_mm": 8.8, "rotation_degrees": 20.0, "quality": 0.9}}}
    (output / "run.json").write_text(json.dumps(report))
    return build(SyntheticPatient(**{**vars(patient), "output": output}))


def world_of(volume: slicer.vtkMRMLVolumeNode, point_lps: tuple[float, ...]) -> list[float]:
    """Where the scene shows a point of the volume's own space, in LPS."""
    x, y, z = point_lps
    world = [0.0, 0.0, 0.0]
    volume.TransformPointToWorld((-x, -y, z), world)
    return [-world[0], -world[1], world[2]]


def test_the_transform_brings_the_scan_onto_the_reference(result: PatientResult, motion: sitk.Transform) -> None:
    flair = result.inputs["FLAIR"]
    assert set(result.transforms) == {"FLAIR"}
    assert not shows_aligned(result)
    in_flair = motion.TransformPoint(POINT_LPS)
    show_aligned(result, True)
    assert shows_aligned(result)
    np.testing.assert_allclose(world_of(flair, in_flair), POINT_LPS, atol=1e-4)
    assert all(node.GetParentTransformNode() is None for s, node in result.inputs.items() if s != "FLAIR")
    show_aligned(result, False)
    assert flair.GetParentTransformNode() is None


def test_the_users_own_transform_stays(result: PatientResult) -> None:
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    result.inputs["FLAIR"].SetAndObserveTransformNodeID(own.GetID())
    for aligned in (True, False):
        show_aligned(result, aligned)
        assert result.inputs["FLAIR"].GetParentTransformNode() is own


def test_a_removed_result_leaves_no_transform(result: PatientResult) -> None:
    flair = result.inputs["FLAIR"]
    show_aligned(result, True)
    remove_result(result)
    assert flair.GetParentTransformNode() is None
    assert not slicer.util.getNodesByClass("vtkMRMLLinearTransformNode")


def test_a_missing_transform_file_leaves_the_scene_as_it_was(
    patient: SyntheticPatient, tmp_path: Path, host: OffscreenHost
) -> None:
    output = shutil.copytree(patient.output, tmp_path / "broken")
    (output / "run.json").write_text(json.dumps({**patient.report, "alignments": {"T2": {}}}))
    with pytest.raises(UnreadableImageError):
        build(SyntheticPatient(**{**vars(patient), "output": output}))
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
